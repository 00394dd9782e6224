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
    rows = sweep.rows("try", folder)
    assert {(r["seed"], r["metric"]) for r in rows} == {(s, m) for s in "01" for m in ("accuracy", "held-out loss", "training time")}
    configs = [json.loads(r["config"]) for r in rows]
    assert {c["arm"] for c in configs} == {"dot"}
    assert sorted({c["tokens"] for c in configs if "tokens" in c}) == [3 * 8 * 5, 6 * 8 * 5]
    assert all(r["date"] and r["command"] for r in rows)


def test_keys_tell_cells_apart():
    keys = {cell.key for cell in (*CELLS, BROKEN, Cell.of(RUN, task="Match2", arm="other"))}
    assert len(keys) == 4
    assert Cell.from_dict(json.loads(json.dumps(CELLS[0].as_dict()))) == CELLS[0]


def test_fleets_give_what_processes_give(folder, tmp_path):
    grid = [*CELLS, Cell.of(replace(RUN, model=replace(MODEL, layers=("simplicial",))), task="Match2", arm="triples"), BROKEN]
    said = []
    assert sweep.run_fleets(grid, tmp_path, at_once=2, device="cpu", say=said.append) == [BROKEN]
    together, alone = dict(sweep.finished(tmp_path)), dict(sweep.finished(folder))
    for cell in CELLS:
        assert together[cell]["loss"] == pytest.approx(alone[cell]["loss"], abs=1e-4)
    assert sweep.run_fleets(grid, tmp_path, device="cpu", say=said.append) == []
    assert said[-1] == "4 cells, 4 of them finished"
    rows = [r for r in sweep.rows("try", tmp_path) if json.loads(r["config"])["arm"] == "broken"]
    assert [r["metric"] for r in rows] == ["diverged", "training time"]
    assert rows[0]["value"] == str(3 * 8 * 5)
