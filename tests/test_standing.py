"""Where a layer stands and what gives its gain back: the records are read by the rules of the plan, figures show every seed."""

from math import inf

import pytest
from matplotlib import pyplot as plt

from simplex_lab import efficiency_plots, experiments, scaling, scaling_plots, standing
from simplex_lab.efficiency import Ratio
from simplex_lab.experiments import SEEDS

TOP, BOTTOM = "top of 4", standing.BOTTOM


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def rows(task, arm, tokens, lr=1e-3, metric="tokens to target"):
    config = {"task": task, "arm": arm, "lr": lr}
    return [{"config": config, "seed": seed, "metric": metric, "value": n} for seed, n in zip(SEEDS, tokens, strict=False)]


def test_places_come_in_the_order_of_the_plan_and_whole():
    found = standing.places(rows("Match3", TOP, [5] * 5) + rows("Match3", BOTTOM, [2] * 5) + rows("relations", TOP, [1] * 4))
    assert found == {"Match3": {BOTTOM: [2] * 5, TOP: [5] * 5}}
    assert list(found["Match3"]) == [BOTTOM, TOP]


def test_seeds_come_in_their_order():
    assert standing.places(rows("Match3", TOP, [1, 2, 3, 4, 5])[::-1])["Match3"][TOP] == [1, 2, 3, 4, 5]


def test_a_remedy_stands_at_its_best_whole_rate():
    some = rows("Match3", "as it is", [9] * 5, 1e-3) + rows("Match3", "as it is", [7, 7, 7, inf, inf], 2e-3)
    some += rows("Match3", "as it is", [1] * 4, 4e-3)
    assert standing.remedies(some) == {"Match3": {"as it is": [7, 7, 7, inf, inf]}}


def test_a_run_that_diverged_never_got_there():
    some = rows("Match3", "as it is", [3, 3, 3, 3], 1e-3)
    some += [{"config": some[0]["config"], "seed": SEEDS[4], "metric": "diverged", "value": 0.5}]
    assert standing.remedies(some)["Match3"]["as it is"] == [3, 3, 3, 3, inf]


def test_a_remedy_is_measured_against_the_bottom_with_its_own_embedding():
    remedied = {"Match3": {"as it is": [6] * 5, "embedding of one": [6] * 5}}
    large, small = {"Match3": {BOTTOM: [2] * 5}}, {"Match3": {BOTTOM: [3] * 5}}
    found = standing.given_back(remedied, large, small)["Match3"]
    assert found["as it is"].value == 2
    assert found["embedding of one"].value == 3
    assert standing.given_back(remedied, {}, small) == {"Match3": {"as it is": found["as it is"]}}


def test_a_remedy_gives_the_gain_back_if_its_interval_reaches_below_the_limit():
    found = {"Match3": {"as it is": Ratio(2.0, 1.6, 3.0), "embedding of one": Ratio(1.6, 1.4, 2.0)}}
    first, second = standing.as_text(found).splitlines()[1:]
    assert "gives it back" not in first
    assert "gives it back" in second


def test_what_is_not_recorded_has_no_rows():
    assert standing.recorded("no such experiment") == []


def marks(ax):
    return [(float(x), float(y)) for line in ax.lines if line.get_linestyle() == "None" for x, y in line.get_xydata()]


def test_every_seed_of_every_place_is_drawn_and_never_beyond_the_budget():
    tokens = {"Match3": {BOTTOM: [1e6] * 5, TOP: [2e6, 3e6, inf, inf, inf]}}
    fig = efficiency_plots.standing(tokens, tokens, {"Match3": 9e6})
    (ax,) = fig.axes
    drawn = marks(ax)
    assert len(drawn) == 20
    assert len(set(drawn)) == 20  # equal seeds stay visible
    assert sum(x > 9 for x, _ in drawn) == 6
    assert [t.get_text() for t in ax.get_yticklabels()] == [BOTTOM, TOP]


def test_a_remedy_without_a_number_is_left_out_of_its_panel():
    found = {"Match3": {"as it is": Ratio(2.0, 1.6, 3.0)}, "relations": {"embedding of one": Ratio(inf, 4.0, inf)}}
    first, second = efficiency_plots.remedies(found, 1.5).axes
    points = [[line for line in ax.lines if line.get_marker() in ("o", ">")] for ax in (first, second)]
    assert [len(p) for p in points] == [1, 1]
    assert points[1][0].get_marker() == ">"


def test_windows_of_another_area_are_open():
    (ax,) = efficiency_plots.windows({"2 x 256": [1.0, 1.1], "16 x 32": [1.2, 1.3], "8 x 32": [1.4, 1.5]}).axes
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert faces[0] == faces[1] != faces[2] == "none"
    assert len(marks(ax)) >= 6


def test_the_grid_shows_seeds_laws_and_what_they_miss():
    runs = {m: {n: [n**-0.3 * f for f in (0.9, 1.0, 1.1)] for n in (1e4, 1e5, 1e6)} for m in ("dot product", "2-simplicial")}
    laws = {m: {"straight": scaling.straight(*scaling.means(by_size))} for m, by_size in runs.items()}
    top, below = scaling_plots.grid(runs, laws).axes
    assert len(marks(top)) == 18
    assert max(abs(y) for line in below.lines[:2] for y in line.get_ydata()) < 1e-6


def test_every_place_and_remedy_of_the_plan_can_be_read():
    some = [r for arm in experiments.PLACES for r in rows("functions", arm, [1] * 5)]
    assert list(standing.places(some)["functions"]) == list(experiments.PLACES)
    some = [r for arm in experiments.REMEDIES for r in rows("relations", arm, [1] * 5)]
    assert list(standing.remedies(some)["relations"]) == list(experiments.REMEDIES)
