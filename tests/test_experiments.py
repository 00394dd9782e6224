"""The planned runs: equal parameters, equal data, controls, seeds apart; every cell a different one."""

from collections import Counter
from dataclasses import replace
from math import inf

import pytest

from simplex_lab import cli, experiments, records
from simplex_lab.model import parameter_count
from simplex_lab.sweep import Cell
from simplex_lab.train import train


@pytest.mark.parametrize("name", experiments.TASKS)
def test_all_arms_of_a_task_have_equal_parameters_tokens_and_data(name):
    configs = [experiments.run(name, layers, 1e-3, 0) for layers in experiments.ARMS.values()]
    counts = [parameter_count(c.model) for c in configs]
    assert max(counts) < 1.02 * min(counts)
    assert len({(c.tokens, c.batch, c.seed, c.task, c.schedule) for c in configs}) == 1
    assert {c.model.heads for c in configs} == {4}


def test_eight_layers_have_equal_parameters_among_themselves():
    counts = [
        parameter_count(experiments.run("Match3", layers, 1e-3, 0).model) for layers in experiments.PLACES.values() if len(layers) == 8
    ]
    assert len(counts) == 3
    assert max(counts) < 1.02 * min(counts)


def test_every_task_with_triples_has_a_control():
    families = {q.family for q in experiments.TASKS.values()}
    assert families == {"maths", "logic", "reasoning", "code"}
    controlled = {name: q.control for name, q in experiments.TASKS.items() if q.control}
    assert len(controlled) == 5
    for name, control in controlled.items():
        asked, easy = experiments.TASKS[name], experiments.TASKS[control]
        assert (easy.family, easy.control, easy.steps, easy.task.n) == (asked.family, None, asked.steps, asked.task.n)


def test_rates_are_chosen_on_other_seeds_than_those_reported():
    assert not set(experiments.CHOOSING) & set(experiments.SEEDS)
    assert len(experiments.SEEDS) >= 5
    chosen = list(experiments.choosing(experiments.ARMS, ["Match3"]))
    assert Counter(c.config.seed for c in chosen) == dict.fromkeys(experiments.CHOOSING, 5 * len(experiments.RATES))
    reported = list(experiments.efficiency({("Match3", arm): 1e-3 for arm in experiments.ARMS}))
    assert Counter(c.config.seed for c in reported) == dict.fromkeys(experiments.SEEDS, 5)


def test_no_cell_is_planned_twice():
    cells = [*experiments.choosing(experiments.ARMS), *experiments.remedies()]
    assert len({cell.key for cell in cells}) == len(cells)


def test_places_and_remedies_are_what_their_names_say():
    at = {name: [n for n, kind in enumerate(layers) if kind == "simplicial"] for name, layers in experiments.PLACES.items()}
    assert at["top of 4"] == [3]
    assert at["every 4th of 8 from the bottom"] == [0, 4]
    assert at["every 4th of 8, last of each four"] == [3, 7]
    small = {"embedding": experiments.SMALL_EMBEDDING}
    plain = experiments.run("Match3", experiments.PLACES["top of 4"], 1e-3, 0, **small)
    for name, options in experiments.REMEDIES.items():
        changed = experiments.run("Match3", experiments.PLACES["top of 4"], 1e-3, 0, **small | options)
        assert (changed == plain) == (name == "as it is")
        assert abs(parameter_count(changed.model) / parameter_count(plain.model) - 1) < 0.01


def test_fine_runs_are_those_of_the_ratio_looked_at_more_often():
    needs = {"dot product, 1 layer": 90, "dot product, 2 layers": 70, "2-simplicial, 1 layer": 30}
    rows = [r for arm, tokens in needs.items() for seed in experiments.CHOOSING for r in ended(arm, 2e-3, seed, tokens)]
    cells = list(experiments.fine(rows))
    assert {dict(c.about)["arm"] for c in cells} == {"2-simplicial, 1 layer", "dot product, 2 layers"}
    assert len(cells) == 2 * len(experiments.SEEDS)
    for c in cells:
        arm = dict(c.about)["arm"]
        assert replace(c.config, eval_every=50) == experiments.run("Match3", experiments.ARMS[arm], 2e-3, c.config.seed)
        assert experiments.recorded_every(c) == 0


def test_sizes_are_equal_in_both_arms_and_grow():
    for name in experiments.SIZES:
        cells = list(experiments.sizes(None, [name]))
        counts = {}
        for cell in cells:
            kind, width = dict(cell.about)["arm"].split(", width ")
            counts.setdefault(int(width), {})[kind] = parameter_count(cell.config.model)
            assert cell.config.model.width // cell.config.model.heads == experiments.HEAD
        assert tuple(sorted(counts)) == experiments.SIZES[name]
        assert all(max(c.values()) < 1.02 * min(c.values()) and len(c) == 2 for c in counts.values())
        grown = [counts[w]["dot product"] for w in experiments.SIZES[name]]
        assert grown == sorted(grown)
        assert len({cell.config.tokens for cell in cells}) == 1


def test_sizes_take_their_own_rates():
    rates = {(dict(c.about)["task"], dict(c.about)["arm"]): 1e-3 for c in experiments.sizes()}
    rates["code", "2-simplicial, width 64"] = 4e-3
    cells = list(experiments.sizes(rates))
    assert Counter(c.config.seed for c in cells) == dict.fromkeys((0, 1, 2), 2 * (6 + 5))
    assert {c.config.model.width for c in cells if c.config.lr == 4e-3} == {64}


def test_windows_have_equal_cost_where_they_should():
    cells = list(experiments.windows(1e-3))
    at = {dict(c.about)["arm"]: (c.config.model.w1, c.config.model.w2) for c in cells}
    assert tuple(at.values()) == experiments.WINDOWS
    assert sum(a * b == 512 for a, b in at.values()) == 5
    assert len({parameter_count(c.config.model) for c in cells}) == 1


@pytest.mark.parametrize("name", ["sum of three", "functions"])
def test_a_planned_run_runs(name):
    config = experiments.run(name, experiments.ARMS["2-simplicial, every 4th layer"], 1e-3, 0)
    history = train(replace(config, steps=2, batch=4, eval_every=2, eval_sequences=8))
    assert history.held_out_loss[-1] > 0


def ended(arm, lr, seed, tokens, last=1.0, *, task="Match3", loss=0.0):
    """Rows of one run on a choosing seed; ``tokens=None``: it diverged."""
    config = {"experiment": "choosing", "task": task, "arm": arm, "lr": lr}
    metrics = {"tokens to target": tokens, "final accuracy": last, "final held-out loss": loss}
    for metric, value in ({"diverged": 100.0} if tokens is None else metrics).items():
        yield {"config": config, "seed": seed, "metric": metric, "value": value}


def test_the_chosen_rate_needs_the_fewest_tokens_in_the_median():
    arm, rows = "2-simplicial, 1 layer", []
    for seed, fast, slow in ((100, 25, 50), (101, 50, 50), (102, 25, 25)):
        rows += [*ended(arm, 1e-3, seed, fast, 0.98), *ended(arm, 2e-3, seed, slow)]
    assert experiments.chosen(rows) == {("Match3", arm): 1e-3}


def test_where_nobody_gets_there_the_better_end_is_chosen():
    arm, rows = "dot product, 1 layer", []
    for seed in experiments.CHOOSING:
        rows += [*ended(arm, 1e-3, seed, inf, 0.7), *ended(arm, 2e-3, seed, inf, 0.8)]
    assert experiments.chosen(rows) == {("Match3", arm): 2e-3}


def test_code_goes_by_its_loss():
    arm, rows = "dot product, 1 layer", []
    for seed in experiments.CHOOSING:
        rows += [*ended(arm, 1e-3, seed, inf, 0.7, task="code", loss=1.0), *ended(arm, 2e-3, seed, inf, 0.8, task="code", loss=1.1)]
    assert experiments.chosen(rows) == {("code", arm): 1e-3}


def test_a_rate_at_which_one_of_three_runs_broke_off_is_out():
    arm = "dot product, 1 layer"
    for missing in (True, False):  # its process failed, or it diverged in a fleet
        rows = [r for seed in experiments.CHOOSING for r in ended(arm, 1e-3, seed, 50)]
        rows += [r for seed in (100, 101) for r in ended(arm, 2e-3, seed, 25)]
        rows += [] if missing else ended(arm, 2e-3, 102, None)
        assert experiments.chosen(rows) == {("Match3", arm): 1e-3}


def test_the_arms_of_a_ratio_are_the_best_of_each_kind():
    needs = {"dot product, 1 layer": 90, "dot product, 2 layers": 70, "2-simplicial, 1 layer": 30, "2-simplicial, every 4th layer": 40}
    rows = [r for arm, tokens in needs.items() for seed in experiments.CHOOSING for r in ended(arm, 1e-3, seed, tokens)]
    assert experiments.standing(rows) == {"Match3": ("2-simplicial, 1 layer", ("dot product, 2 layers",))}


def test_dot_product_layers_of_byte_models_see_the_whole_past_in_every_arm():
    for layers in (*experiments.ARMS.values(), *experiments.PLACES.values()):
        c = experiments.run("code", layers, 1e-3, 0).model
        assert (c.dot_window, c.w1, c.w2) == (None, 16, 32)
    assert {cell.config.model.dot_window for cell in experiments.windows(1e-3)} == {None}


def test_cells_by_name(monkeypatch):
    assert len(experiments.cells("choosing")) == 11 * 5 * 4 * 3
    assert {dict(c.about)["task"] for c in experiments.cells("placing", ["relations"])} == {"relations"}
    rows = [row for seed in experiments.CHOOSING for row in ended("dot product, 2 layers", 1e-3, seed, 50)]
    monkeypatch.setattr(experiments.records, "read", lambda name: rows)
    found = experiments.cells("efficiency")
    assert [(c.config.seed, c.config.lr) for c in found] == [(seed, 1e-3) for seed in experiments.SEEDS]
    assert {experiments.recorded_every(c) for c in found} == {3}
    assert {experiments.recorded_every(c) for c in experiments.cells("choosing")} == {0}


@pytest.mark.parametrize(("asked", "words"), [(("guessing", None), "choosing"), (("choosing", ["chess"]), "'chess'")])
def test_what_the_plan_does_not_know_is_refused(asked, words):
    with pytest.raises(ValueError, match=words):
        experiments.cells(*asked)


def test_the_command_runs_a_tiny_sweep(monkeypatch, tmp_path, capsys):
    tiny = [
        Cell.of(replace(c.config, steps=2, batch=4, eval_every=1, eval_sequences=8), **dict(c.about))
        for c in experiments.cells("choosing", ["functions"])[:2]
    ]
    monkeypatch.setenv("SIMPLEX_LAB_COMMAND", "")  # put back afterwards
    monkeypatch.setattr(experiments, "cells", lambda name, tasks: tiny)
    out = tmp_path / "choosing.csv"
    assert cli.main(["sweep", "--experiment", "choosing", "--folder", str(tmp_path / "cells"), "--out", str(out)]) == 0
    rows = records.read(out)
    assert {r["config"]["arm"] for r in rows} == {dict(c.about)["arm"] for c in tiny}
    assert {r["command"] for r in rows} == {"simplex-lab sweep --experiment choosing --device cpu"}
    assert cli.main(["sweep", "--experiment", "choosing", "--folder", str(tmp_path / "cells"), "--out", str(out)]) == 0
    assert "2 of them finished" in capsys.readouterr().out


def test_an_unknown_experiment_is_explained(capsys):
    assert cli.main(["sweep", "--experiment", "guessing"]) == 1
    assert "choose one of" in capsys.readouterr().err
