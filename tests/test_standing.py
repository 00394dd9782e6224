"""Where a layer stands and what gives its gain back: the records are read by the rules of the plan, figures show every seed."""

from math import inf
from statistics import median

import pytest
from matplotlib import pyplot as plt

from simplex_lab import efficiency_plots, experiments, scaling, scaling_plots, standing
from simplex_lab.efficiency import Ratio, ratio
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


def test_windows_are_compared_seed_by_seed_and_those_of_another_area_are_open():
    losses = {"2 x 256": [1.1, 1.3], "16 x 32": [1.0, 1.2], "8 x 32": [1.4, 1.7]}
    (ax,) = efficiency_plots.windows(losses).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["8 x 32 = 256", "2 x 256 = 512"]
    seeds = [line for line in ax.lines if line.get_marker() == "o"]
    assert seeds[0].get_markerfacecolor() == "none" != seeds[1].get_markerfacecolor()
    assert [list(line.get_xdata()) for line in seeds] == [pytest.approx([0.4, 0.5]), pytest.approx([0.1, 0.1])]


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


# What chapter 12 says in words about the recorded runs


@pytest.fixture(scope="module")
def recorded():
    large, small = (standing.places(standing.recorded(name)) for name in ("places", "places_small"))
    return large, small, standing.given_back(standing.remedies(standing.recorded("remedies")), large, small)


@pytest.mark.parametrize("task", experiments.PLACED)
def test_with_large_embeddings_the_place_hardly_matters_and_with_small_ones_it_decides(recorded, task):
    large, small, _ = recorded
    middle = [{place: median(tokens) for place, tokens in by[task].items()} for by in (large, small)]
    places = [place for place in experiments.PLACES if not place.startswith("dot")]
    assert all(0.8 < middle[0][place] / middle[0][BOTTOM] < 1.25 for place in places)
    for last in (TOP, "every 4th of 8, last of each four"):
        assert 0.8 < middle[1][last] / middle[1]["dot product, 4 layers"] < 1.25
    for first in (BOTTOM, "every 4th of 8 from the bottom"):
        assert middle[1][first] < 0.65 * middle[1]["dot product, 4 layers"]


def test_eight_layers_learn_match3_from_the_bottom_with_either_embedding(recorded):
    for by in recorded[:2]:
        assert ratio(by["Match3"]["every 4th of 8 from the bottom"], by["Match3"]["dot product, 8 layers"]).high <= 0.5


def test_what_gives_the_gain_back_is_what_makes_tokens_large_beside_layers(recorded):
    for task, found in recorded[2].items():
        helped = {remedy for remedy, r in found.items() if r.low < standing.GIVEN_BACK}
        some = {"residuals of a quarter"} if task == "relations" else set()  # a little, said the plan
        assert helped == {"embedding of one", "residuals of 0.02", "residuals of 0.02, positions of 0.0004"} | some


def test_the_predictions_for_eight_layers_held(recorded):
    f = recorded[1]["functions"]
    last, first, dots = (f[arm] for arm in ("every 4th of 8, last of each four", "every 4th of 8 from the bottom", "dot product, 8 layers"))
    assert 2.5e6 < median(last) < 9.8e6
    assert 0.8 < ratio(last, dots).value < 1.25
    assert ratio(first, dots).value <= 0.5


def test_on_functions_the_start_makes_a_win_or_a_tie(recorded):
    of = [ratio(by["functions"][BOTTOM], by["functions"]["dot product, 4 layers"]) for by in recorded[:2]]
    assert of[0].verdict() == "ties"
    assert of[1].value < 0.25
