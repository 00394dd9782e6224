"""The benchmark's pictures show what the record holds: rows written here, numbers read back from the drawn lines."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from matplotlib import pyplot as plt

from simplex_lab import bench, bench_plots, cli, records

SOURCE = {"device": "GPU", "driver": "", "torch": "2.13.0", "triton": "3.7.1", "commit": "abc", "date": "2026-01-01", "command": "x"}


def rows(question, arm, shape, *, device="GPU", **metrics):
    config = {"arm": arm, "question": question, "dtype": "bf16"} | shape
    return [
        records.row("kernel_bench", config, 0, name.replace("_and_", "+").replace("_", " "), value, "", SOURCE | {"device": device})
        for name, value in metrics.items()
    ]


@pytest.fixture
def record(tmp_path):
    """Forward takes a nanosecond for each pair of windows and query, backward four, the matmul's rate is 800."""
    found = rows("headline", "cudnn dense", {"B": 4, "S": 8192}, forward_over_matmul=0.75, backward_over_matmul=0.6)
    for question in ("headline", "windows"):
        for s in bench.QUESTIONS[question]:
            t = 1e-6 * s.S * s.w1 * s.w2
            found += rows(question, "kernels", asdict(s), forward=t, backward=4 * t, forward_over_matmul=0.7, backward_over_matmul=0.45)
    for s in bench.MODEL:
        for arm, factor in (("kernels", 1), ("unfolded", 6), ("blocked", 9)):
            found += rows("model", arm, asdict(s), forward_and_backward=factor * s.S / 4096, peak_memory=factor**2)
    for s in bench.NAIVE:
        for arm, factor in (("kernels", 1), ("naive", 20)):
            found += rows("naive", arm, asdict(s), forward_and_backward=factor, peak_memory=factor**2)
    for n, arm in enumerate(bench.RUNGS):
        found += rows("ladder", arm, asdict(bench.LADDER[0]), forward=2.0 ** (5 - n), matmul_rate=700)
    return records.write(tmp_path / "kernel_bench.csv", found)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def texts(ax):
    return {t.get_text() for t in ax.texts}


def test_every_question_has_its_picture(record, tmp_path):
    paths = bench_plots.draw(record, tmp_path)
    assert [p.stem for p in paths] == ["kernel_ladder", "kernel_length", "kernel_model", "kernel_naive", "kernel_rate", "kernel_windows"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)


def test_only_what_was_asked_is_drawn(tmp_path):
    s = bench.WINDOWS[0]
    path = records.write(tmp_path / "t.csv", rows("windows", "kernels", asdict(s), forward=1, backward=2))
    assert [p.name for p in bench_plots.draw(path, tmp_path)] == ["kernel_windows.png"]


def test_the_rate_s_lines_are_the_recorded_shares(record):
    forward, backward = bench_plots.rate(records.read(record)).axes
    for ax, share, cudnn in ((forward, 0.7, 0.75), (backward, 0.45, 0.6)):
        *lines, reference = ax.lines
        assert [line.get_label() for line in lines] == ["w2 = 256", "w2 = 512", "w2 = 1024"]
        for line in lines:
            assert list(line.get_xdata()) == [1024, 2048, 4096, 8192, 16384]
            assert set(line.get_ydata()) == {share}
        assert reference.get_ydata()[0] == cudnn


def test_linear_cost_has_slope_one(record):
    (ax,) = bench_plots.length(records.read(record)).axes
    assert texts(ax) == {"forward, slope 1.00 from 4k on", "backward, slope 1.00 from 4k on"}


def test_every_window_is_drawn_over_its_pairs(record):
    (ax,) = bench_plots.windows(records.read(record)).axes
    points = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in points] == ["forward, slope 1.00", "backward, slope 1.00"]
    pairs = sorted(w1 * w2 for w1, w2 in bench.PAIRS)
    for line, factor in zip(points, (1, 4), strict=True):
        assert sorted(line.get_xdata()) == pairs
        np.testing.assert_allclose(sorted(line.get_ydata()), [factor * 1e-6 * 4096 * p for p in pairs], rtol=1e-5)
    assert "16 x 256" in texts(ax)


def test_the_model_s_advantage_is_over_the_best_other(record):
    time, memory = bench_plots.peers(records.read(record), "model", 4096).axes
    assert texts(time) == {"6.0 x"}
    assert texts(memory) == {"36.0 x"}
    assert [t.get_text() for t in time.get_yticklabels()] == [f"Hkv = {h}, {w}" for h in (8, 2) for w in ("32 x 32", "64 x 16")]
    time, memory = bench_plots.peers(records.read(record), "naive", 512).axes
    assert texts(time) == {"20.0 x"}


def test_each_question_s_last_measurement_on_its_last_device_counts():
    shape = asdict(bench.WINDOWS[0])
    measured = [
        *rows("model", "kernels", shape, device="other", forward=5),
        *rows("windows", "kernels", shape, forward=1),
        *rows("windows", "kernels", shape, device="other", forward=9),
        *rows("windows", "kernels", shape, forward=2),
    ]
    parsed = [dict(r, config=json.loads(r["config"]), value=float(r["value"])) for r in measured]
    assert [r["value"] for r in bench_plots.latest(parsed)] == [5, 2]


def test_no_record_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    assert cli.main(["bench", "--plots"]) == 1
    assert "run `simplex-lab bench` on a GPU" in capsys.readouterr().err


def test_the_ladder_shows_recorded_times_and_gains(record):
    times, gains = bench_plots.ladder(records.read(record)).axes
    recorded = [line.get_xdata()[0] for line in times.lines if line.get_marker() == "o"]
    assert recorded == [32, 16, 8, 4, 2]
    assert [line.get_xdata()[0] for line in gains.lines if line.get_marker() == "o"] == [2, 2, 2, 2]


def test_neighbours_tell_timed_from_published(record):
    mine = bench_plots.latest(records.read(record)) + [
        r | {"metric": metric, "value": value}
        for r in records.read(record)
        if r["config"]["question"] == "headline" and r["metric"] == "forward"
        for metric, value in (("forward rate", 400.0), ("matmul rate", 700.0))
    ]
    published = [r for r in records.read("published.csv") if r["name"] == "peak rate"]
    (ax,) = bench_plots.neighbours(mine, published).axes
    hollow = [p.get_width() for p in ax.patches if p.get_facecolor()[:3] == (1, 1, 1)]
    assert hollow == [r["value"] for r in published]
    assert {p.get_width() for p in ax.patches} - set(hollow) == {400.0}
