"""The CSV schema: what is written comes back, and every recorded row says where it comes from."""

import pytest

from simplex_lab import presets, records

SOURCE = {"device": "CPU", "driver": "", "torch": "2.13.0", "triton": "", "commit": "abc", "date": "2026-01-01", "command": "x"}
FILES = sorted(records.RESULTS.glob("*.csv"))


def rows():
    about = {"arm": "a, b", "lr": 0.5}
    return [
        records.row("t", about | {"tokens": tokens}, seed, "accuracy", value, "1", SOURCE)
        for seed, tokens, value in ((1, 20, 0.25), (0, 10, 0.5), (0, 20, 0.75), (1, 10, 0.125))
    ]


def test_what_is_written_comes_back(tmp_path):
    back = records.read(records.write(tmp_path / "t.csv", rows()))
    assert [(r["seed"], r["value"], r["config"]["arm"]) for r in back][:2] == [(1, 0.25, "a, b"), (0, 0.5, "a, b")]
    assert {k: back[0][k] for k in SOURCE} == SOURCE


def test_final_is_the_last_value_of_each_seed_in_order(tmp_path):
    back = records.read(records.write(tmp_path / "t.csv", rows()))
    assert records.final(back, "accuracy", arm="a, b") == [0.75, 0.25]
    assert records.final(back, "accuracy", arm="other") == []
    assert records.final(back, "loss") == []


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        records.write(tmp_path / "t.csv", [rows()[0] | {"mood": "good"}])
    (tmp_path / "u.csv").write_text("name,value\na,1\n")
    with pytest.raises(ValueError, match="expected"):
        records.read(tmp_path / "u.csv")


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = records.write(tmp_path / "t.csv", rows())
    before = path.read_bytes()

    def broken():
        yield rows()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records.write(path, broken())
    assert path.read_bytes() == before


def test_there_are_records():
    assert {"chapter00.csv", "chapter00_rates.csv"} <= {f.name for f in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_record_says_where_it_comes_from(path):
    for row in records.read(path):
        for column in ("name", "metric", "unit", "device", "torch", "commit", "date", "command"):
            assert row[column], (column, row)
        assert not row["commit"].endswith("+"), "recorded from code that was not committed"
        words = row["command"].split()
        assert words[:3] == ["simplex-lab", "train", "--preset"]
        assert words[3] in presets.PRESETS
        assert words[3] == path.stem
