"""Verdicts are what the recorded seeds say, by the rules of the plan; figures show every seed."""

from dataclasses import replace
from math import inf, isnan

import numpy as np
import pytest
from matplotlib import pyplot as plt

from simplex_lab import efficiency, efficiency_plots, experiments, explorers, scaling, standing, verdicts
from simplex_lab.experiments import CHOOSING, SEEDS

OURS, THEIRS, OTHER = "2-simplicial, 1 layer", "dot product, 4 layers", "dot product, 1 layer"


# What chapter 12 says in words about its table, as bounds on the ratio


SAID = {
    "Match3": (0.25, 0.4, "wins"),  # a third
    "parity of five": (0.4, 2 / 3, "wins"),  # less than two thirds
    "functions": (0.6, 2 / 3, "wins"),
    "relations": (0.9, 1.1, "ties"),  # nothing
    "sum of three": (0.9, 1.1, "ties"),
    "Match2": (1.2, 5 / 3 + 0.01, "loses"),  # four of five controls are lost, by a quarter to two thirds
    "majority of five": (1.2, 5 / 3 + 0.01, "loses"),
    "relations, one hop": (1.2, 5 / 3 + 0.01, "loses"),
    "functions, one hop": (1.2, 5 / 3 + 0.01, "loses"),
    "sum of two": (0.9, 1.1, "ties"),
    "code": (0.7, 0.8, "ties"),
}


@pytest.mark.parametrize("task", SAID)
def test_the_table_is_as_the_chapter_tells_it(task):
    low, high, word = SAID[task]
    v = verdicts.table()[task]
    assert low < v.tokens.value < high
    assert v.word == word


@pytest.mark.parametrize(
    ("task", "word"),
    [("Match3", "ties"), ("sum of three", "ties"), ("parity of five", "ties"), ("relations", "ties"), ("functions", "loses")],
)
def test_the_controls_with_the_same_two_models_are_as_the_chapter_tells_them(task, word):
    v, control = verdicts.table()[task], verdicts.of_the_task(task, *verdicts.recorded())
    assert (control.task, control.ours, control.theirs) == (experiments.TASKS[task].control, v.ours, v.theirs)
    assert control.word == word


@pytest.mark.parametrize(
    ("task", "low", "high"), [("parity of five", 0.75, 0.8), ("relations, one hop", 0.99, 1.01), ("Match2", 0.49, 0.51)]
)
def test_what_the_rule_owes_to_luck_is_as_the_chapter_tells_it(task, low, high):
    hindsight = verdicts.compared(task, "2-simplicial, every 4th layer", (THEIRS,), *verdicts.recorded()[1:])
    assert low < hindsight.tokens.value < high
    assert hindsight.word == "ties"
    assert (verdicts.table()[task].ours, verdicts.table()[task].theirs) != (hindsight.ours, hindsight.theirs)


def test_the_table_gives_seconds_only_where_both_arms_were_timed_alike():
    table = verdicts.table()
    assert not isnan(table["Match3"].seconds)
    assert isnan(table["parity of five"].seconds)  # recorded four fleets at a time
    assert "-  wins" in verdicts.as_text({"parity of five": table["parity of five"]})


def test_fleets_that_shared_a_gpu_or_ran_on_two_kinds_were_not_timed_alike():
    rows = reported("Match3", {OURS: [3] * 5, THEIRS: [6] * 5})
    alike = [r | {"command": "sweep", "device": "A", "commit": "1"} for r in rows]
    assert verdicts.timed(alike, "Match3", (OURS, THEIRS)) == [2.0, 2.0]
    for other in ({"device": "B"}, {"commit": "2"}, {"command": "sweep --jobs 4"}):
        mixed = [r | other if r["config"]["arm"] == OURS else r for r in alike]
        assert verdicts.timed(mixed, "Match3", (OURS, THEIRS)) is None
    assert verdicts.timed([r for r in alike if r["config"]["arm"] == OURS], "Match3", (OURS, THEIRS)) is None


def test_of_tied_rivals_the_one_that_needs_least_stands():
    rows = reported("Match3", {OURS: [2] * 5, THEIRS: [6] * 5, OTHER: [4] * 5})
    tied = choosing("Match3", {OURS: 3.0, THEIRS: 7.0, OTHER: 7.0})
    v = verdicts.verdict("Match3", tied, rows)
    assert (v.theirs, v.tokens.value) == (OTHER, 0.5)
    assert verdicts.verdict("Match3", tied, reported("Match3", {OURS: [2] * 5, THEIRS: [6] * 5})) is None


@pytest.mark.parametrize("task", ["relations, one hop", "Match2"])
def test_on_the_choosing_seeds_all_arms_of_two_controls_tied(task):
    scores = experiments.scores(verdicts.recorded()[0])
    assert len({min(scores[task, arm].values()) for arm in experiments.ARMS}) == 1


def test_code_is_a_tie_by_the_rule_and_falls_one_way_in_pairs():
    v = verdicts.table()["code"]
    assert (v.tokens.low, v.tokens.high) == (0, inf)
    ends = verdicts.per_seed(verdicts.recorded()[1], "code", "final held-out loss")
    ours, theirs = ends[v.ours], ends[v.theirs]
    d = efficiency.paired(ours, theirs)
    assert d.high < -0.01
    assert all(a < b for a, b in zip(ours, theirs, strict=True))
    assert 1.8 < (max(ours) - min(ours)) / -d.mean < 2.5  # "twice"
    assert sum(n == inf for n in verdicts.needed(verdicts.recorded()[1], "code", v.theirs)[v.theirs]) == 2


def test_windows_are_as_the_chapter_tells_them():
    shapes = [f"{w1} x {w2}" for w1, w2 in experiments.WINDOWS]
    losses = verdicts.per_seed(standing.recorded("windows"), "code", "final held-out loss", shapes)
    over = {s: efficiency.paired(losses[s], losses["16 x 32"]) for s in shapes if s != "16 x 32"}
    assert over["8 x 32"].mean == pytest.approx(0.03, abs=0.005)
    assert over["32 x 32"].mean == pytest.approx(-0.015, abs=0.003)
    assert min(np.subtract(losses["8 x 32"], losses["16 x 32"])) > 0 > max(np.subtract(losses["32 x 32"], losses["16 x 32"]))
    assert over["128 x 4"].low > 0
    assert all(over[s].low < 0 < over[s].high for s in ("2 x 256", "4 x 128", "32 x 16"))


def test_the_grid_of_sizes_is_as_chapter_13_tells_it():
    code, match = experiments.grid("code"), experiments.grid("Match3, modulus 37")
    smallest, largest = ([np.mean(code[m][end(code[m])]) for m in ("2-simplicial", "dot product")] for end in (min, max))
    assert smallest[0] / smallest[1] == pytest.approx(1.05, abs=0.01)
    assert largest[0] / largest[1] == pytest.approx(1, abs=0.01)
    assert min(code["2-simplicial"][min(code["2-simplicial"])]) > max(code["dot product"][min(code["dot product"])])
    for grid, worst in ((code, 0.05), (match, 1 / 3)):
        for runs in grid.values():
            N, L = scaling.means(runs)
            assert max(abs(np.array(L) / scaling.straight(N, L).loss(N) - 1)) > worst
    for runs, off in zip(code.values(), (-0.11, -0.14), strict=True):
        N, L = scaling.means(runs)
        assert scaling.straight(N[:-1], L[:-1]).loss(N[-1]) / L[-1] - 1 == pytest.approx(off, abs=0.005)
        assert abs(scaling.with_offset(N[:-1], L[:-1]).loss(N[-1]) / L[-1] - 1) < 0.025
    for runs in match.values():
        N, L = scaling.means(runs)
        for fit in (scaling.straight, scaling.with_offset):
            assert abs(fit(N[:-1], L[:-1]).loss(N[-1]) / L[-1] - 1) > 0.4
    largest = match["2-simplicial"][max(match["2-simplicial"])]
    assert 25 < max(largest) / min(largest) < 35  # "about thirty"


def test_sizes_of_code_in_pairs_are_as_chapter_12_tells_them():
    arms = {f"{model}, width {width}" for model in ("2-simplicial", "dot product") for width in experiments.SIZES["code"]}
    ends = verdicts.per_seed(standing.recorded("sizes"), "code", "final held-out loss", arms)
    lower = [
        sum(a < b for a, b in zip(ends[f"2-simplicial, width {width}"], ends[f"dot product, width {width}"], strict=True))
        for width in experiments.SIZES["code"]
    ]
    assert (lower[0], lower.count(3)) == (0, 1)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def run(experiment, task, arm, seed, tokens, *, last=1.0, loss=0.1, seconds=2.0, curve=()):
    config = {"experiment": experiment, "task": task, "arm": arm, "lr": 1e-3}
    ends = {"tokens to target": tokens, "final accuracy": last, "final held-out loss": loss, "training time": seconds}
    came = {"device": "a GPU", "commit": "one", "command": "sweep"}
    for metric, value in ends.items():
        yield {"config": config, "seed": seed, "metric": metric, "value": value} | came
    for at, value in curve:
        for metric in ("accuracy", "held-out loss"):
            yield {"config": config | {"tokens": at}, "seed": seed, "metric": metric, "value": value}


def choosing(task, needs):
    return [r for arm, n in needs.items() for seed in CHOOSING for r in run("choosing", task, arm, seed, n)]


def reported(task, needs, **options):
    return [
        r
        for arm, tokens in needs.items()
        for seed, n in zip(SEEDS, tokens, strict=True)
        for r in run("efficiency", task, arm, seed, n, **options)
    ]


CHOSEN = choosing("Match3", {OURS: 3.0, THEIRS: 7.0, OTHER: 9.0})


def test_a_ratio_is_of_the_arms_chosen_before():
    rows = reported("Match3", {OURS: [2, 3, 3, 3, 4], THEIRS: [6, 6, 6, 8, 8], OTHER: [1, 1, 1, 1, 1]})
    v = verdicts.verdict("Match3", CHOSEN, rows)
    assert (v.ours, v.theirs, v.tokens.value, v.word) == (OURS, THEIRS, 0.5, "wins")


def test_a_token_has_its_price():
    needs = {OURS: [3] * 5, THEIRS: [6] * 5}
    rows = [r for arm, s in ((OURS, 4.0), (THEIRS, 1.0)) for r in reported("Match3", {arm: needs[arm]}, seconds=s)]
    v = verdicts.verdict("Match3", CHOSEN, rows)
    assert v.seconds == pytest.approx(0.5 * 4)
    configs = [experiments.run("Match3", experiments.ARMS[arm], 1e-3, 0).model for arm in (OURS, THEIRS)]
    assert v.flops == pytest.approx(0.5 * verdicts.flops_per_token(configs[0]) / verdicts.flops_per_token(configs[1]))


def test_nothing_is_said_while_a_seed_is_missing():
    rows = reported("Match3", {OURS: [3] * 5, THEIRS: [6] * 5})
    assert verdicts.verdict("Match3", CHOSEN, [r for r in rows if r["seed"] != 4 or r["config"]["arm"] == OURS]) is None
    assert verdicts.verdict("Match3", choosing("Match3", {OURS: 3.0}), rows) is None


def test_finer_runs_stand_in_when_all_seeds_have_one():
    rows = reported("Match3", {OURS: [3] * 5, THEIRS: [6] * 5})
    fine = reported("Match3", {OURS: [4] * 5, THEIRS: [5] * 5})
    assert verdicts.verdict("Match3", CHOSEN, rows, fine).tokens.value == 0.8
    assert verdicts.verdict("Match3", CHOSEN, rows, [r for r in fine if r["seed"]]).tokens.value == 0.5


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [([3] * 5, [inf] * 5, "wins"), ([inf] * 5, [3] * 5, "loses"), ([2, 2, 3, 8, 9], [4] * 5, "ties"), ([inf] * 5, [inf] * 5, "neither")],
)
def test_words(ours, theirs, word):
    v = verdicts.verdict("Match3", CHOSEN, reported("Match3", {OURS: ours, THEIRS: theirs}))
    assert v.word == word
    assert isnan(v.tokens.value) == (word == "neither")
    told = verdicts.as_text({"Match3": v, "code": None})
    assert word in told
    assert "code                not run yet" in told


def test_code_is_measured_by_the_loss_that_dot_products_end_with():
    chosen = choosing("code", {OURS: inf, THEIRS: inf})
    fast, slow = [(1, 2.0), (2, 1.0), (4, 0.9)], [(1, 2.5), (2, 2.0), (4, 1.0)]
    rows = reported("code", {OURS: [inf] * 5}, loss=0.9, curve=fast) + reported("code", {THEIRS: [inf] * 5}, loss=1.0, curve=slow)
    v = verdicts.verdict("code", chosen, rows)
    assert (v.tokens.value, v.ends) == (0.5, (0.9, 1.0))


def test_the_recorded_table_keeps_the_order_of_the_plan():
    table = verdicts.table()
    assert list(table) == list(experiments.TASKS)
    assert table["Match3"] is not None


def test_the_figure_shows_ratio_interval_and_word():
    v = verdicts.verdict("Match3", CHOSEN, reported("Match3", {OURS: [2, 3, 3, 3, 4], THEIRS: [6] * 5}))
    never = replace(v, tokens=replace(v.tokens, value=float("nan"), low=0.0, high=inf))
    (ax,) = efficiency_plots.verdicts({"Match3": v, "relations": never, "code": None}).axes
    assert [t.get_text() for t in ax.texts] == ["wins", "neither", "not run yet"]
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
    assert list(bars[0].get_xdata()) == pytest.approx([v.tokens.low, v.tokens.high])
    assert list(bars[1].get_xdata()) == pytest.approx([0.1, 9.0])  # cut at the frame
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [float(line.get_xdata()[0]) for line in dots] == [0.5]


def test_every_seed_is_drawn_and_those_that_never_arrive_stand_beyond_the_budget():
    (ax,) = efficiency_plots.needed({OURS: [1e6, 1e6, 2e6], OTHER: [3e6, inf, inf]}, budget=4e6).axes
    marks = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "None"]
    assert list(marks[0]) == [1, 1, 2]
    assert (marks[1][0], marks[1][1] > 4, marks[1][1] == marks[1][2]) == (3, True, True)


def test_curves_end_at_the_budget():
    curve = ([1_000_000, 2_000_000, 3_000_000], [0.5, 0.7, 0.9])
    (ax,) = efficiency_plots.learning({OURS: {0: curve, 1: curve}}, target=0.97, guess=0.5, budget=2.5e6).axes
    seeds = [line for line in ax.lines if (line.get_linewidth() < 1 and len(line.get_xdata()) > 2) or list(line.get_xdata()) == [1, 2]]
    assert len(seeds) == 3  # two seeds and their median
    assert all(max(line.get_xdata()) == 2 for line in seeds)


def test_the_learning_explorer_tells_the_recorded_medians(monkeypatch):
    shown = {}
    monkeypatch.setattr(explorers, "explorer", lambda draw, say, **sliders: shown.update(draw=draw, say=say, sliders=sliders))
    explorers.learning_explorer()
    text = shown["say"](task="Match3", which="2-simplicial", budget=100)
    _, rows, _ = verdicts.recorded()
    ends = verdicts.per_seed(rows, "Match3", "final accuracy")
    assert f"{OURS} {sorted(ends[OURS])[2]:.3f}" in text
    assert "dot product" not in text
    first = {name: slider.start for name, slider in shown["sliders"].items()}
    assert shown["draw"](**first).axes
    assert "dot product, 4 layers" in shown["say"](**first)


def test_the_offset_explorer_finds_the_truth_where_noise_is_none(monkeypatch):
    shown = {}
    monkeypatch.setattr(explorers, "explorer", lambda draw, say, **sliders: shown.update(draw=draw, say=say))
    explorers.offset_explorer()
    text = shown["say"](E=1.0, noise=0.0, sizes=5)
    assert "with an offset alpha 0.300, E 1.00" in text
    assert "The straight line finds alpha 0.1" in text
    assert shown["draw"](E=1.0, noise=0.5, sizes=3).axes
