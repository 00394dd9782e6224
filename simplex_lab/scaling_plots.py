"""Figures of chapter 13: losses over sizes with fitted lines, and slopes with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from simplex_lab.plots import DOT, DOT_TEXT, REFERENCE, SIMPLICIAL
from simplex_lab.scaling import PowerLaw

LOOK = {"Transformer": (DOT, DOT_TEXT, "s"), "dot product": (DOT, DOT_TEXT, "s"), "2-simplicial": (SIMPLICIAL, SIMPLICIAL, "o")}


def lines(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float], PowerLaw]]], unit: float = 1e9, name: str = "billions"
) -> Figure:
    """A panel for each task: ``{task: {model: (sizes, losses, law)}}``, both axes logarithmic.

    Each panel has losses of its own and spans the same factor, so that slopes can be compared from panel to panel.
    """
    rows = (len(panels) + 1) // 2
    fig, axes = plt.subplots(rows, min(2, len(panels)), figsize=(8, 2.75 * rows), squeeze=False)
    ends = {task: np.log([f(L) for _, L, _ in models.values() for f in (min, max)]) for task, models in panels.items()}
    span = 0.68 * max(float(np.ptp(e)) for e in ends.values())
    for ax, (task, models) in zip(axes.flat, panels.items(), strict=False):
        middle = (ends[task].min() + ends[task].max()) / 2
        for model, (N, L, law) in models.items():
            colour, _, marker = LOOK[model]
            N = np.asarray(N)
            at = np.geomspace(N.min() / 1.1, N.max() * 1.1, 50)
            ax.plot(at / unit, law.loss(at), color=colour, lw=1.4)
            ax.plot(N / unit, L, marker, color=colour, ms=7, linestyle="none")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(N / unit, [f"{n / unit:g}" for n in N])
        low, high = np.exp(middle - span), np.exp(middle + span)
        ax.set_ylim(low, high)
        ticks = [t for t in np.round(np.arange(0.02, 6, 0.02), 2) if low <= t <= high]
        ticks = ticks[:: max(1, len(ticks) // 4)]
        ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.minorticks_off()
        ax.text(0.97, 0.94, task, transform=ax.transAxes, ha="right", va="top", fontweight="bold")
    first = axes.flat[0]
    for y, model in ((0.20, next(iter(models))), (0.07, list(models)[-1])):
        first.text(
            0.05, y, f"{'■' if LOOK[model][2] == 's' else '●'} {model}", transform=first.transAxes, color=LOOK[model][1], fontsize=10
        )
    for ax in axes[-1]:
        ax.set_xlabel(f"active parameters in {name} (log)")
    for ax in axes[:, 0]:
        ax.set_ylabel("loss in nats (log)")
    return fig


def slopes(
    rows: Mapping[str, Mapping[str, tuple[float, float, float]]],
    label: str = "exponent alpha and its 95% interval",
    reference: float = 0.0,
) -> Figure:
    """``{task: {model: (slope, low, high)}}``: a bar from low to high with the slope marked, and a line at ``reference``."""
    fig, ax = plt.subplots(figsize=(8, 0.62 * len(rows) + 1.2))
    for y, models in enumerate(rows.values()):
        for n, (model, (value, low, high)) in enumerate(models.items()):
            colour, text, marker = LOOK[model]
            at = -y - 0.17 + 0.34 * (n == 0)
            ax.plot([low, high], [at, at], color=colour, lw=2)
            ax.plot(value, at, marker, color=colour, ms=8)
            if y == 0:
                ax.text(high, at, f"  {model}", color=text, va="center", fontsize=10)
    ax.axvline(reference, **REFERENCE)
    ax.set_yticks([-y for y in range(len(rows))], list(rows))
    ax.set_ylim(-len(rows) + 0.4, 0.6)
    ax.set_xlabel(label)
    return fig


def mean_sizes(rows: Mapping[str, Mapping[str, tuple[float, float, float]]], nominal: float) -> Figure:
    """The geometric mean size that each published line implies, ``{task: {model: (size, low, high)}}`` in parameters."""
    billions = {task: {m: tuple(x / 1e9 for x in v) for m, v in models.items()} for task, models in rows.items()}
    fig = slopes(billions, "geometric mean of the sizes N in billions; bars: what rounding in the tables may hide", nominal / 1e9)
    (ax,) = fig.axes
    ax.set_xlim(1.75, 2.15)
    ax.text(nominal / 1e9, -len(rows) + 0.44, f" {nominal / 1e9:.2f}, that of 1, 2, 3.5", fontsize=9.5, va="bottom")
    return fig


def two_fits(N, L, straight: PowerLaw, offset: PowerLaw, truth: PowerLaw) -> Figure:
    """Noisy losses of seeds, ``L`` a row for each size, and two fits that are asked what a far larger model would reach."""
    fig, ax = plt.subplots(figsize=(8, 3.9))
    N = np.asarray(N, dtype=float)
    at = np.geomspace(N.min() / 1.3, 1e9, 200)
    for row, n in zip(L, N, strict=True):
        ax.plot([n] * len(row), row, "o", color="black", ms=4, alpha=0.6)
    ax.plot(at, truth.loss(at), **REFERENCE)
    ends = [("truth (dashed)", truth)]
    for name, law, line, wide in (("straight (solid)", straight, "-", 1.8), ("with an offset (dotted)", offset, ":", 3.2)):
        ax.plot(at, law.loss(at), color="#555555", lw=wide, linestyle=line)
        ends.append((name, law))
    ax.set_xscale("log")
    ax.set_yscale("log")
    heights = sorted((float(law.loss(1e9)), name) for name, law in ends)
    low, high = ax.get_ylim()
    gap, last = (np.log(high) - np.log(low)) * 0.07, -np.inf
    for y, name in heights:
        last = max(np.log(max(y, low)), last + gap)
        ax.text(1.15e9, np.exp(last), name, va="center", fontsize=10.5)
    ax.axvspan(N.min(), N.max(), color="#F0F0F0", zorder=0)
    ax.text(N.min() * 1.1, high, "measured", fontsize=9.5, va="top")
    ax.set_xlim(N.min() / 1.3, 1.5e10)
    ax.set_xticks([10.0**e for e in range(5, 10)])
    ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8) if low <= t <= high]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("parameters N (log)")
    ax.set_ylabel("loss in nats (log)")
    return fig


def grid(runs: Mapping[str, Mapping[float, Sequence[float]]], laws: Mapping[str, Mapping[str, PowerLaw]], unit="nats") -> Figure:
    """Losses of all seeds over sizes with the ``laws`` of each model, and below them what each law misses, in per cent.

    ``{model: {size: losses}}`` and ``{model: {name of the fit: law}}``; the first fit is drawn solid, the second dash-dotted.
    """
    fig, (top, below) = plt.subplots(2, 1, figsize=(8, 5.2), sharex=True, height_ratios=(3, 1.4))
    for model, by_size in runs.items():
        colour, text, marker = LOOK[model]
        N = np.array(sorted(by_size), dtype=float)
        means = np.array([np.mean(by_size[n]) for n in N])
        for n in N:
            top.plot([n] * len(by_size[n]), by_size[n], marker, color=colour, ms=5, alpha=0.7, linestyle="none")
        at = np.geomspace(N.min() / 1.1, N.max() * 1.1, 60)
        for line, (name, law) in zip(("-", "-."), laws[model].items(), strict=False):
            top.plot(at, law.loss(at), color=colour, lw=1.4, linestyle=line, label=f"{model}, {name}")
            below.plot(N, 100 * (means / law.loss(N) - 1), color=colour, lw=1.2, linestyle=line, marker=marker, ms=4)
        others = [np.mean(r[max(r)]) for m, r in runs.items() if m != model]
        side = "bottom" if all(means[-1] > o for o in others) else "top"  # labels of curves that meet lie above and below
        top.text(N.max() * 1.13, means[-1], model, color=text, va=side, fontsize=10)
    top.set_xscale("log")
    top.set_yscale("log")
    low, high = top.get_ylim()
    digits = (1,) if high > 100 * low else (1, 1.1, 1.2, 1.3, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    ticks = [t for e in range(-8, 3) for t in np.array(digits) * 10.0**e if low <= t <= high]
    ticks = ticks[:: max(1, len(ticks) // 6)]
    top.set_yticks(ticks, [f"{t:.3g}" for t in ticks])
    top.yaxis.set_minor_formatter(NullFormatter())
    top.set_ylabel(f"held-out loss ({unit}, log)")
    top.legend(frameon=False, fontsize=9.5, loc="lower left")
    below.axhline(0, **REFERENCE)
    below.set_ylabel("missed by (%)")
    below.set_xlabel("parameters N (log)")
    top.set_xlim(right=N.max() * 2.2)
    return fig
