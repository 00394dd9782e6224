"""The CSV schema: what is written comes back, and every recorded row says where it comes from."""

import math
import re
import shlex

import pytest

from simplex_lab import cli, experiments, presets, records

SOURCE = {"device": "CPU", "driver": "", "torch": "2.13.0", "triton": "", "commit": "abc", "date": "2026-01-01", "command": "x"}
FILES = sorted(records.RESULTS.glob("*.csv"))
PUBLISHED = records.RESULTS / "published.csv"
OWN = [f for f in FILES if f != PUBLISHED]
BY_TOOLS = {"compatibility"}  # made by python -m tools.compatibility: tests/test_compatibility.py


def rows():
    about = {"arm": "a, b", "lr": 0.5}
    return [
        records.row("t", about | {"tokens": tokens}, seed, "accuracy", value, "1", SOURCE)
        for seed, tokens, value in ((1, 20, 0.25), (0, 10, 0.5), (0, 20, 0.75), (1, 10, 0.125))
    ]


def test_what_is_written_comes_back(tmp_path):
    back = records.read(records.write(tmp_path / "t.csv", rows()))
    told = {"name": "t", "metric": "accuracy", "unit": "1", "p20": "", "p80": ""} | SOURCE
    numbers = ((1, 20, 0.25), (0, 10, 0.5), (0, 20, 0.75), (1, 10, 0.125))
    assert back == [
        told | {"config": {"arm": "a, b", "lr": 0.5, "tokens": tokens}, "seed": seed, "value": value} for seed, tokens, value in numbers
    ]


def test_a_spread_is_kept():
    row = records.row("t", {}, 0, "latency", 1.25, "ms", SOURCE, p20=1.0, p80=1.5)
    assert (row["value"], row["unit"], row["p20"], row["p80"]) == ("1.25", "ms", "1.0", "1.5")


def test_equal_configs_give_equal_text():
    one, other = {"lr": 0.5, "arm": "a"}, {"arm": "a", "lr": 0.5}
    assert records.row("t", one, 0, "m", 1, "1", SOURCE) == records.row("t", other, 0, "m", 1, "1", SOURCE)


def test_folders_are_made(tmp_path):
    path = records.write(tmp_path / "new" / "folder" / "t.csv", rows())
    assert path == tmp_path / "new" / "folder" / "t.csv"
    assert len(records.read(path)) == 4


def test_a_bare_name_is_found_in_results_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert records.read("chapter00.csv") == records.read(records.RESULTS / "chapter00.csv")
    (tmp_path / "mine").mkdir()
    records.write("mine/chapter00.csv", rows())
    assert len(records.read("mine/chapter00.csv")) == 4


def test_a_path_that_does_not_exist_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        records.read("elsewhere/chapter00.csv")


def test_final_is_the_last_value_of_each_seed_in_order(tmp_path):
    back = records.read(records.write(tmp_path / "t.csv", rows()))
    assert records.final(back, "accuracy", arm="a, b") == [0.75, 0.25]
    assert records.final(back, "accuracy", arm="other") == []
    assert records.final(back, "loss") == []


def test_other_columns_are_refused_when_writing(tmp_path):
    with pytest.raises(ValueError, match="mood"):
        records.write(tmp_path / "t.csv", [rows()[0] | {"mood": "good"}])
    assert not (tmp_path / "t.csv").exists()


def test_missing_columns_are_refused_when_writing(tmp_path):
    row = rows()[0]
    del row["commit"]
    with pytest.raises(ValueError, match="commit"):
        records.write(tmp_path / "t.csv", [row])


@pytest.mark.parametrize(
    "columns",
    [records.COLUMNS[:-1], (*records.COLUMNS, "mood"), records.COLUMNS[::-1], ("label", *records.COLUMNS[1:]), ()],
    ids=["missing", "extra", "order", "renamed", "none"],
)
def test_other_columns_are_refused_when_reading(tmp_path, columns):
    (tmp_path / "t.csv").write_text(",".join(columns) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.csv: columns .* expected .*'command'"):
        records.read(tmp_path / "t.csv")


def interrupted():
    yield rows()[0]
    raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = records.write(tmp_path / "t.csv", rows())
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        records.write(path, interrupted())
    assert path.read_bytes() == before


def test_an_interrupted_write_leaves_nothing_else(tmp_path):
    path = records.write(tmp_path / "t.csv", rows())
    with pytest.raises(KeyboardInterrupt):
        records.write(path, interrupted())
    assert list(tmp_path.iterdir()) == [path]


# Provenance


def test_provenance_fills_its_columns():
    source = records.provenance("simplex-lab train --preset chapter00")
    assert set(source) == set(SOURCE)
    assert source["command"] == "simplex-lab train --preset chapter00"
    assert all(source[column] for column in ("device", "torch", "date"))
    assert set(records.row("t", {}, 0, "m", 1, "1", source)) == set(records.COLUMNS)


@pytest.mark.parametrize(("commit", "changed", "says"), [("abc1234", "", "abc1234"), ("abc1234", " M x.py", "abc1234+"), ("", "", "")])
def test_uncommitted_changes_show_in_the_commit(monkeypatch, commit, changed, says):
    monkeypatch.setattr(records, "_output", lambda *command: commit if "rev-parse" in command else changed)
    assert records.project_commit() == says


# What is recorded


def test_there_are_records():
    assert {"chapter00.csv", "chapter00_rates.csv"} <= {f.name for f in FILES}


def test_what_others_published_names_its_source():
    rows = records.read(PUBLISHED)
    assert rows
    for row in rows:
        assert re.fullmatch(r"source: .*\d.*", row["command"])
        assert all(row[column] for column in ("name", "metric", "unit", "device", "date"))
        assert math.isfinite(row["value"])


@pytest.mark.parametrize("path", OWN, ids=lambda p: p.name)
def test_every_record_says_where_it_comes_from(path):
    rows = records.read(path)
    assert rows
    for row in rows:
        for column in ("name", "metric", "unit", "device", "torch", "commit", "date", "command"):
            assert row[column], (column, row)
        assert re.fullmatch("[0-9a-f]{7,40}", row["commit"]), "recorded from code that was not committed"
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["date"])
        never = row["metric"] == "tokens to target" and row["value"] == math.inf
        assert never or math.isfinite(row["value"])


@pytest.mark.parametrize("path", [f for f in OWN if f.stem not in BY_TOOLS], ids=lambda p: p.name)
def test_the_command_of_a_record_makes_that_record(path):
    rows = records.read(path)
    assert {row["name"] for row in rows} == {path.stem}
    for command in {row["command"] for row in rows}:
        program, *arguments = shlex.split(command)
        args = cli._parser().parse_args(arguments)
        assert program == "simplex-lab"
        if args.run is cli._bench:
            assert path.stem == "kernel_bench"
            assert set(args.question) == {row["config"]["question"] for row in rows if row["command"] == command}
        elif args.run is cli._sweep:
            assert args.experiment == path.stem
            planned = {(cell.key, cell.config.seed, cell.config.lr) for cell in experiments.cells(args.experiment)}
            assert {(row["config"]["cell"], row["seed"], row["config"]["lr"]) for row in rows} <= planned
        else:
            assert args.preset in presets.PRESETS
            assert args.preset == path.stem
            assert {row["seed"] for row in rows} == set(range(args.seeds))


def test_a_copy_without_history_can_be_told_its_commit(monkeypatch):
    monkeypatch.setenv("SIMPLEX_LAB_COMMIT", "0123abc")
    assert records.provenance("simplex-lab bench")["commit"] == "0123abc"
