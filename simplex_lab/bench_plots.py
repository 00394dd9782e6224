"""Pictures of ``results/kernel_bench.csv``, one a question: pure functions from rows to a figure, and ``draw`` that writes them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from simplex_lab import plots, records, roofline
from simplex_lab.show import png

PASSES = ("forward", "backward")
MARKERS = ("o", "s", "^", "D", "v")
ARMS = {
    "kernels": "these kernels",
    "unfolded": "windows unfolded",
    "blocked": "blocks of queries",
    "flex": "w1 FlexAttention calls",
    "naive": "the whole cube",
}


def latest(rows: Iterable[Mapping]) -> list[Mapping]:
    """Of rows that measure the same thing the last; for each question only those of the device that answered it last."""
    rows = list(rows)
    last = {r["config"]["question"]: r["device"] for r in rows}
    found = {(json.dumps(r["config"], sort_keys=True), r["metric"]): r for r in rows if r["device"] == last[r["config"]["question"]]}
    return list(found.values())


def values(rows: Iterable[Mapping], metric: str, over: str | Callable, **config) -> dict:
    """``{config[over]: value}`` of a metric, sorted, among the rows whose config holds all of ``config``."""
    key = over if callable(over) else lambda c: c[over]
    return dict(sorted((key(r["config"]), r["value"]) for r in rows if r["metric"] == metric and config.items() <= r["config"].items()))


def rate(rows: list[Mapping]) -> Figure:
    """Share of the matrix product's rate over the sequence length, forward and backward, one line a window, beside cuDNN's attention."""
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
    for ax, name in zip(axes, PASSES, strict=True):
        for w2, marker in zip((256, 512, 1024), MARKERS, strict=False):
            line = values(rows, f"{name} over matmul", "S", question="headline", arm="kernels", H=128, w1=32, w2=w2, gain=1.0)
            if line:
                ax.plot(*_xy(line), marker=marker, color=plots.SIMPLICIAL, alpha={256: 0.45, 512: 1, 1024: 0.7}[w2], label=f"w2 = {w2}")
        for share in values(rows, f"{name} over matmul", "S", arm="cudnn dense").values():
            ax.axhline(share, **plots.REFERENCE)
            ax.annotate("cuDNN, dense pairs", (1, share), xycoords=("axes fraction", "data"), va="bottom", ha="right", fontsize=9)
        _lengths(ax)
        ax.set_ylim(0, 1)
        ax.text(0.03, 0.96, name, transform=ax.transAxes, va="top", fontweight="bold")
    axes[0].set_ylabel("useful rate / rate of a matrix product")
    axes[1].legend(frameon=False, loc="lower right", fontsize=9)
    return fig


def length(rows: list[Mapping]) -> Figure:
    """Time over the sequence length at windows 32 x 512, both axes logarithmic, with the slope from 4k on: 1 is linear.

    Shorter sequences cost less than their share, since the first ``w2`` queries see smaller windows.
    """
    fig, ax = plt.subplots(figsize=(8, 3.6))
    for name, marker in zip(PASSES, MARKERS, strict=False):
        S, t = _xy(values(rows, name, "S", question="headline", arm="kernels", H=128, w1=32, w2=512, gain=1.0))
        ax.plot(S, t, marker=marker, color=plots.SIMPLICIAL, ls="none")
        slope, line = _power_law(S[S >= 4096], t[S >= 4096])
        ax.plot(S, line(S), color=plots.SIMPLICIAL, lw=1.2)
        ax.annotate(f"{name}, slope {slope:.2f} from 4k on", (S[-2], t[-2]), xytext=(-8, 6), textcoords="offset points", ha="right")
    ax.set_yscale("log")
    _lengths(ax)
    ax.set_ylabel("time (ms, log)")
    return fig


def windows(rows: list[Mapping]) -> Figure:
    """Time over the pairs of a window at S = 4096, both axes logarithmic, with the slope of all windows: 1 is linear."""
    fig, ax = plt.subplots(figsize=(8, 3.8))
    for name, marker in zip(PASSES, MARKERS, strict=False):
        points = values(rows, name, lambda c: (c["w1"] * c["w2"], c["w1"], c["w2"]), question="windows", arm="kernels")
        pairs, t = np.array([p for p, *_ in points]), np.array(list(points.values()))
        slope, line = _power_law(pairs, t)
        ends = np.array([pairs.min(), pairs.max()])
        ax.plot(ends, line(ends), color=plots.SIMPLICIAL, lw=1.2)
        ax.plot(pairs, t, marker=marker, color=plots.SIMPLICIAL, ls="none", label=f"{name}, slope {slope:.2f}")
        if name == "forward":
            at = {}
            for (p, w1, w2), y in points.items():
                at.setdefault(p, ([], y))[0].append(f"{w1} x {w2}")
            for p, (names, y) in at.items():
                ax.annotate("\n".join(names), (p, y), xytext=(6, -4), textcoords="offset points", va="top", fontsize=9)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlim(right=ax.get_xlim()[1] * 1.3)
    ax.set_ylim(bottom=ax.get_ylim()[0] / 2)
    ax.set_xlabel("pairs of a window, w1 w2 (log)")
    ax.set_ylabel("time (ms, log)")
    ax.legend(frameon=False, loc="upper left")
    return fig


def peers(rows: list[Mapping], question: str, S: int) -> Figure:
    """Time and peak memory of forward and backward at one sequence length, beside other versions of the operation; log axes.

    The factors are those of the fastest other version, in time and in memory.
    """
    asked = [r["config"] for r in rows if r["config"]["question"] == question and r["config"]["S"] == S]
    shapes = sorted({(-c["Hkv"], c["w1"], c["w2"]) for c in asked})
    fig, axes = plt.subplots(1, 2, figsize=(8, 1.6 + 0.5 * len(shapes)), sharey=True)
    for ax, metric, label in zip(axes, ("forward+backward", "peak memory"), ("time (ms, log)", "peak memory (MiB, log)"), strict=True):
        for y, (Hkv, w1, w2) in enumerate(shapes):
            at = values(rows, metric, "arm", question=question, S=S, Hkv=-Hkv, w1=w1, w2=w2)
            for arm, marker in zip(ARMS, MARKERS, strict=True):
                if arm in at:
                    colour = plots.SIMPLICIAL if arm == "kernels" else plots.DOT
                    ax.plot(at[arm], y, marker=marker, color=colour, ms=9, ls="none", label=ARMS[arm] if y == 0 else None)
            times = values(rows, "forward+backward", "arm", question=question, S=S, Hkv=-Hkv, w1=w1, w2=w2)
            best = at[min(times.keys() - {"kernels"}, key=times.get)]
            ax.plot([at["kernels"], best], [y, y], color=plots.SIMPLICIAL, lw=1, zorder=0)
            middle, factor = np.sqrt(at["kernels"] * best), best / at["kernels"]
            shown = f"{factor:.0f} x" if factor > 100 else f"{factor:.1f} x"
            ax.text(middle, y - 0.12, shown, ha="center", va="bottom", fontsize=9, color=plots.SIMPLICIAL)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if metric != "peak memory" else (1,)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_xlabel(label)
    axes[0].set_yticks(range(len(shapes)), [f"Hkv = {-Hkv}, {w1} x {w2}" for Hkv, w1, w2 in shapes])
    axes[0].set_ylim(len(shapes) - 0.5, -0.6)
    fig.legend(*axes[0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=5, fontsize=9)
    return fig


def ladder(rows: list[Mapping]) -> Figure:
    """The rungs of the ladder: forward time and the time by hand, on a log axis, and what each rung gained over the one above it."""
    rungs = roofline.ladder(rows, roofline.published_chip())
    fig, (times, gains) = plt.subplots(1, 2, figsize=(8, 3.9), sharey=True, width_ratios=[1.35, 1])
    by_hand = {"marker": "D", "ms": 7, "mfc": "white", "mec": "black", "ls": "none", "zorder": 3}
    for y, r in enumerate(rungs):
        colour = plots.DOT if r.resource == "memory" else plots.SIMPLICIAL
        times.plot([r.by_hand, r.taken], [y, y], color=colour, lw=1)
        times.plot(r.taken, y, "o", color=colour, ms=9, label="recorded" if y == len(rungs) - 1 else None)
        times.plot(r.by_hand, y, **by_hand, label="by hand" if y == 0 else None)
        if y:
            above = rungs[y - 1]
            hand, found = above.by_hand / r.by_hand, above.taken / r.taken
            gains.plot([hand, found], [y, y], color=colour, lw=1)
            gains.plot(found, y, "o", color=colour, ms=9)
            gains.plot(hand, y, **by_hand)
            for x, gain in ((7.4, hand), (12, found)):
                gains.text(x, y, f"{gain:.1f}", va="center", fontsize=9.5)
    for ax in (times, gains):
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
    times.set_yticks(range(len(rungs)), [f"{r.name}\n{r.changed}" for r in rungs], fontsize=9.5)
    times.set_ylim(len(rungs) - 0.5, -0.5)
    times.set_xlim(1.2, 60)
    times.set_xlabel("forward (ms, log)")
    gains.text(7.4, 0, "by\nhand", va="center", fontsize=9)
    gains.text(12, 0, "re-\ncorded", va="center", fontsize=9)
    gains.set_xlim(0.9, 19)
    gains.set_xticks([1, 2, 4])
    gains.axvline(1, **plots.REFERENCE)
    gains.set_xlabel("gain over the rung above (log)")
    fig.legend(*times.get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=2, fontsize=9.5)
    return fig


def neighbours(rows: list[Mapping], published: Iterable[Mapping]) -> Figure:
    """Forward rates, products only, in bf16: ours and cuDNN's from the record, hollow bars as their authors published them."""
    bars = [(f"{r['config']['kernel']}", r["value"], "published") for r in published if r["name"] == "peak rate"]
    ours = values(rows, "forward rate", "w2", question="headline", arm="kernels", H=128, S=8192, w1=32, gain=1.0)
    bars += [(f"this library, 32 x {w2}, S = 8k", rate, "ours") for w2, rate in ours.items()]
    bars += [("cuDNN, dense pairs, S = 8k", rate, "cudnn") for rate in values(rows, "forward rate", "S", arm="cudnn dense").values()]
    looks = {
        "ours": {"color": plots.SIMPLICIAL},
        "cudnn": {"color": plots.DOT},
        "published": {"facecolor": "white", "edgecolor": plots.SIMPLICIAL, "linewidth": 1.4},
    }
    fig, ax = plt.subplots(figsize=(8, 0.9 + 0.42 * len(bars)))
    for y, (_, rate, kind) in enumerate(bars):
        ax.barh(y, rate, height=0.62, **looks[kind])
        ax.text(rate + 8, y, f"{rate:.0f}", va="center", fontsize=9.5)
    matmul = values(rows, "matmul rate", "w2", question="headline", arm="kernels", H=128, S=8192, w1=32, gain=1.0)[512]
    for x, name in ((matmul, "a matrix product,\nsame run"), (roofline.published_chip().products, "data sheet")):
        ax.axvline(x, **plots.REFERENCE)
        ax.text(x, -0.75, name, ha="center", va="bottom", fontsize=9)
    ax.set_yticks(range(len(bars)), [name for name, *_ in bars], fontsize=9.5)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xlim(0, 1120)
    ax.set_xlabel("forward, TFLOP/s of matrix products in bf16")
    return fig


FIGURES = {
    "headline": {"kernel_rate": rate, "kernel_length": length},
    "windows": {"kernel_windows": windows},
    "model": {"kernel_model": functools.partial(peers, question="model", S=4096)},
    "ladder": {"kernel_ladder": ladder},
    "naive": {"kernel_naive": functools.partial(peers, question="naive", S=512)},
}


def draw(record: str | Path = "kernel_bench.csv", out: Path = records.RESULTS) -> list[Path]:
    """Write the pictures of all questions that the record answers.

    Raises:
        ValueError: there is no record, or it is empty.
    """
    try:
        rows = records.read(record)
    except FileNotFoundError:
        rows = []
    if not rows:
        raise ValueError(f"{record}: nothing is recorded yet; run `simplex-lab bench` on a GPU")
    plots.style()
    rows, paths = latest(rows), []
    device = {r["config"]["question"]: r["device"] for r in rows}
    for question in FIGURES.keys() & device:
        for name, figure in FIGURES[question].items():
            fig = figure(rows)
            fig.supxlabel(device[question], x=1, ha="right", fontsize=8)
            paths.append(out / f"{name}.png")
            paths[-1].write_bytes(png(fig))
            plt.close(fig)
    return sorted(paths)


def _power_law(x: np.ndarray, y: np.ndarray) -> tuple[float, Callable]:
    """Slope on logarithmic axes, and the fitted line."""
    slope, start = np.polyfit(np.log(x), np.log(y), 1) if len(x) > 1 else (np.nan, np.nan)
    return slope, lambda at: np.exp(start) * at**slope


def _xy(line: dict) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(line)), np.array(list(line.values()))


def _lengths(ax) -> None:
    S = (1024, 2048, 4096, 8192, 16384)
    ax.set_xscale("log", base=2)
    ax.set_xticks(S, [f"{s // 1024}k" for s in S])
    ax.set_xlabel("sequence length S (log)")
