"""A sweep runs each cell once, in a process of its own, goes on where it was stopped, and turns into records."""

import json
from dataclasses import replace

import pytest

from simplex_lab import sweep
from simplex_lab.model import ModelConfig
from simplex_lab.sweep import Cell
from simplex_lab.tasks import Match
from simplex_lab.train import TrainConfig, train

MODEL = ModelConfig(vocabulary=4, length=5, layers=("dot",), width=16, heads=2, hidden=16)
RUN = TrainConfig(MODEL, Match(order=2, n=5, modulus=4), steps=6, batch=8, warmup=2, eval_every=3, eval_sequences=32)
CELLS = [Cell.of(replace(RUN, seed=seed), task="Match2", arm="dot") for seed in (0, 1)]
BROKEN = Cell.of(replace(RUN, lr=1e30, warmup=1), task="Match2", arm="broken")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    assert sweep.run([*CELLS, BROKEN], folder, jobs=2) == [BROKEN]
    return folder


def test_a_cell_gives_what_the_run_gives(folder):
    found = dict(sweep.finished(folder))
    assert set(found) == set(CELLS)
    for cell in CELLS:
        history = train(cell.config)
        assert found[cell]["tokens"] == history.tokens
        assert found[cell]["loss"] == pytest.approx(history.loss, abs=1e-6)
        assert found[cell]["accuracy"] == history.accuracy


def test_a_finished_cell_is_not_run_again(folder):
    said = []
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.done.json")}
    assert sweep.run(CELLS, folder, say=said.append) == []
    assert said == ["2 cells, 2 of them finished"]
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.done.json")} == before


def test_a_failed_cell_says_why_and_is_tried_again(folder):
    assert "lower the learning rate" in (folder / f"{BROKEN.key}.log").read_text()
    said = []
    assert sweep.run([BROKEN], folder, say=said.append) == [BROKEN]
    assert said[0] == "1 cells, 0 of them finished"


def test_a_stopped_cell_goes_on_from_its_checkpoint(tmp_path):
    cell = CELLS[0]

    def stop(step, history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cell.config, stop, keep=tmp_path / f"{cell.key}.pt", keep_every=2)
    assert sweep.run([cell], tmp_path) == []
    ((_, done),) = sweep.finished(tmp_path)
    assert done["loss"] == pytest.approx(train(cell.config).loss, abs=1e-6)
    assert not list(tmp_path.glob("*.pt"))


def test_records_name_arm_seed_and_source(folder):
    rows = sweep.rows("try", folder, target=0.1)
    ends = {"tokens to target", "final accuracy", "final held-out loss", "training time"}
    assert {(r["seed"], r["metric"]) for r in rows} == {(s, m) for s in "01" for m in ends | {"accuracy", "held-out loss"}}
    configs = [json.loads(r["config"]) for r in rows]
    assert {c["arm"] for c in configs} == {"dot"}
    assert {c["cell"] for c in configs} == {cell.key for cell in CELLS}
    assert sorted({c["tokens"] for c in configs if "tokens" in c}) == [3 * 8 * 5, 6 * 8 * 5]
    assert all(r["date"] and r["command"] for r in rows)


def test_how_many_evaluations_are_recorded(folder):
    for every, tokens in ((0, set()), (1, {120, 240}), (2, {240}), (5, {240})):
        rows = sweep.rows("try", folder, target=2.0, every=lambda cell, n=every: n)
        assert {json.loads(r["config"])["tokens"] for r in rows if r["metric"] == "accuracy"} == tokens
        assert {r["value"] for r in rows if r["metric"] == "tokens to target"} == {"inf"}


def test_keys_tell_cells_apart():
    keys = {cell.key for cell in (*CELLS, BROKEN, Cell.of(RUN, task="Match2", arm="other"))}
    assert len(keys) == 4
    assert Cell.from_dict(json.loads(json.dumps(CELLS[0].as_dict()))) == CELLS[0]


def test_an_option_that_stands_at_its_default_renames_no_cell():
    assert Cell.of(replace(RUN, schedule="linear"), task="Match2", arm="dot").key == CELLS[0].key
    assert Cell.of(replace(RUN, model=replace(MODEL, residual=1.0)), task="Match2", arm="dot").key == CELLS[0].key
    assert Cell.of(replace(RUN, model=replace(MODEL, residual=0.5)), task="Match2", arm="dot").key != CELLS[0].key
    assert Cell.of(replace(RUN, task=replace(RUN.task, causal=False)), task="Match2", arm="dot").key != CELLS[0].key


def test_what_is_recorded_is_not_run_and_after_the_time_nothing_is_started(tmp_path):
    said = []
    assert sweep.run(CELLS, tmp_path, recorded={cell.key for cell in CELLS}, say=said.append) == []
    assert sweep.run(CELLS, tmp_path, minutes=-1, say=said.append) == []
    assert said == ["2 cells, 2 of them finished", "2 cells, 0 of them finished"]


def test_ctrl_c_starts_nothing_more(tmp_path, monkeypatch):
    def stop(command, **options):
        started.append(command)
        raise KeyboardInterrupt

    started = []
    monkeypatch.setattr(sweep.subprocess, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        sweep.run([*CELLS, BROKEN], tmp_path)
    assert len(started) == 1


def test_fleets_give_what_processes_give(folder, tmp_path):
    grid = [*CELLS, Cell.of(replace(RUN, model=replace(MODEL, layers=("simplicial",))), task="Match2", arm="triples"), BROKEN]
    said = []
    assert sweep.run(grid, tmp_path, at_once=2, say=said.append) == [BROKEN]
    together, alone = dict(sweep.finished(tmp_path)), dict(sweep.finished(folder))
    for cell in CELLS:
        assert together[cell]["loss"] == pytest.approx(alone[cell]["loss"], abs=1e-4)
        assert (together[cell]["together"], alone[cell]["together"]) == (2, 1)
    beside = Cell.of(replace(BROKEN.config, lr=1e-3), task="Match2", arm="fine")
    assert sweep.run([beside, BROKEN], tmp_path / "both", at_once=2, say=said.append) == []
    rows = [r for r in sweep.rows("try", tmp_path / "both", target=0.9) if json.loads(r["config"])["arm"] == "broken"]
    assert [r["metric"] for r in rows] == ["diverged", "training time"]
    assert rows[0]["value"] == str(3 * 8 * 5)


def test_a_fleet_is_started_with_what_may_share_it():
    other = Cell.of(replace(RUN, batch=4), task="Match2", arm="dot")
    assert sweep._groups([CELLS[0], other, CELLS[1], BROKEN], 2) == [CELLS, [other], [BROKEN]]
    assert sweep._groups([replace(c, config=replace(c.config, lr=lr)) for lr in (1.0, 2.0) for c in CELLS], 3)[0][2].config.lr == 2.0
    assert sweep._groups([*CELLS, BROKEN], 1) == [[CELLS[0]], [CELLS[1]], [BROKEN]]


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no CUDA device"):
        sweep.devices_of("cuda")
    assert sweep.devices_of("cpu") == (("cpu",), 1)
