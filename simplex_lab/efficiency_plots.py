"""Figures of chapter 12: curves of all seeds, tokens to a target, ratios with their intervals, and where a layer stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from simplex_lab.efficiency import Ratio, paired
from simplex_lab.plots import DOT, DOT_TEXT, REFERENCE, SIMPLICIAL
from simplex_lab.verdicts import Curve, Verdict

LOOK = {
    "dot product, 1 layer": (DOT, DOT_TEXT, "s", ":"),
    "dot product, 2 layers": (DOT, DOT_TEXT, "^", "--"),
    "dot product, 4 layers": (DOT, DOT_TEXT, "D", "-"),
    "2-simplicial, 1 layer": (SIMPLICIAL, SIMPLICIAL, "o", "-"),
    "2-simplicial, every 4th layer": (SIMPLICIAL, SIMPLICIAL, "P", "--"),
}


def verdicts(table: Mapping[str, Verdict | None]) -> Figure:
    """Ratio of tokens, ours over theirs, with its interval, for each task; left of the line triples need fewer."""
    fig, ax = plt.subplots(figsize=(8, 0.42 * len(table) + 1.2))
    for y, v in enumerate(table.values()):
        if v is None:
            ax.text(0.115, -y, "not run yet", va="center", color="#777777", fontsize=10)
            continue
        low, high = (float(np.clip(x, 0.1, 9.0)) for x in (v.tokens.low, v.tokens.high))
        ax.plot([low, high], [-y, -y], color=SIMPLICIAL, lw=2)
        if v.word != "neither":
            ax.plot(np.clip(v.tokens.value, 0.1, 9.0), -y, "o", color=SIMPLICIAL, ms=8)
        ax.text(10.5, -y, v.word, va="center", fontsize=10.5, color=SIMPLICIAL if v.word == "wins" else "black")
    ax.axvline(1, **REFERENCE)
    ax.set_xscale("log")
    ax.set_xlim(0.1, 10)
    ticks = (0.1, 0.2, 0.5, 1, 2, 5, 10)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(-len(table) + 0.4, 0.6)
    ax.set_yticks([-y for y in range(len(table))], list(table))
    ax.set_xlabel("tokens of the 2-simplicial arm / tokens of the dot-product arm, until the target (log)")
    return fig


def learning(
    arms: Mapping[str, Mapping[int, Curve]], *, target: float | None, guess: float | None, budget: float, loss: bool = False
) -> Figure:
    """Accuracy (or held-out loss) over tokens up to ``budget``: every seed thin, the median of each arm thick with markers."""
    fig, ax = plt.subplots(figsize=(8, 4.1))
    for arm, seeds in arms.items():
        colour, _, marker, line = LOOK[arm]
        cut = [[(t / 1e6, v) for t, v in zip(*curve, strict=True) if t <= budget] for curve in seeds.values()]
        cut = [np.array(points).T for points in cut if points]
        for tokens, values in cut:
            ax.plot(tokens, values, color=colour, lw=0.7, alpha=0.55, linestyle=line)
        if cut:
            length = min(len(c[0]) for c in cut)
            middle = np.median([c[1][:length] for c in cut], axis=0)
            every = max(1, length // 7)
            ax.plot(cut[0][0][:length], middle, color=colour, linestyle=line, marker=marker, ms=6, markevery=every, label=arm)
    for value, name, x, side in ((target, "target", 0.005, "left"), (guess, "position guess", 0.995, "right")):
        if value is not None:
            ax.axhline(value, **REFERENCE)
            ax.text(x, value, f"{name} {value:.2f}", transform=ax.get_yaxis_transform(), ha=side, va="bottom", fontsize=9.5)
    ax.set_xlabel("training tokens (millions)")
    ax.set_ylabel("held-out loss (nats a byte)" if loss else "accuracy on new sequences")
    ax.set_xlim(left=0)
    ax.legend(loc="upper right" if loss else "lower right", bbox_to_anchor=None if loss else (1.0, 0.08), frameon=False, fontsize=9.5)
    return fig


def needed(arms: Mapping[str, Sequence[float]], budget: float) -> Figure:
    """Tokens to the target of every seed, one row an arm, log axis; those that never get there stand beyond the budget."""
    fig, ax = plt.subplots(figsize=(8, 0.5 * len(arms) + 1.1))
    lowest = min(min(v) for v in arms.values()) / 1e6
    beyond = budget / 1e6 * 1.35
    for row, (arm, values) in enumerate(arms.items()):
        colour, text, marker, _ = LOOK[arm]
        shift = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else [0.0]  # equal seeds stay visible
        at = [beyond if isinf(v) else v / 1e6 for v in values]
        ax.plot(at, [-row + s for s in shift], marker, color=colour, ms=7, alpha=0.75, linestyle="none")
        ax.text(1.01, -row, arm, color=text, va="center", transform=ax.get_yaxis_transform(), fontsize=10)
        ax.axhline(-row - 0.5, color="#E4E4E4", lw=0.7, zorder=0)
    ax.axvline(budget / 1e6, **REFERENCE)
    ax.text(beyond, 0.62, "never", ha="center", va="bottom", fontsize=9.5)
    ax.set_xscale("log")
    ax.set_xlim(lowest / 1.3, beyond * 1.25)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if lowest / 1.3 <= t <= budget / 1e6]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(-len(arms) + 0.4, 0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("millions of tokens to the target (log), one mark a seed; dashed: the budget")
    return fig


def final_accuracies(rows: Mapping[str, Sequence[float]], guess: float) -> Figure:
    """Final accuracy of every seed, one row an arm named by its words, purple where the arm has a 2-simplicial layer."""
    fig, ax = plt.subplots(figsize=(8, 0.42 * len(rows) + 1.0))
    for row, (arm, values) in enumerate(rows.items()):
        colour, marker = (DOT, "s") if arm.startswith("dot") else (SIMPLICIAL, "o")
        ax.plot(values, [-row] * len(values), marker, color=colour, ms=7, alpha=0.7, linestyle="none")
        ax.axhline(-row, color="#E4E4E4", lw=0.7, zorder=0)
    ax.axvline(guess, **REFERENCE)
    ax.text(guess + 0.002, 0.55, f"position guess {guess:.2f}", va="bottom", fontsize=9.5)
    ax.set_yticks([-r for r in range(len(rows))], list(rows))
    ax.set_ylim(-len(rows) + 0.4, 0.55)
    ax.set_xlim(right=1.0)
    ax.set_xlabel("final accuracy on new sequences, one mark a seed")
    return fig


def standing(large: Mapping[str, Mapping[str, Sequence[float]]], small: Mapping[str, Mapping[str, Sequence[float]]], budgets) -> Figure:
    """Tokens to the target of every seed, a panel for each task and a row for each place; embeddings of 1 filled, of 0.02 open."""
    tasks = [task for task in large if task in small]
    arms = list(dict.fromkeys(arm for task in tasks for arm in (*large[task], *small[task])))
    fig, axes = plt.subplots(1, len(tasks), figsize=(9, 0.45 * len(arms) + 1.2), sharey=True, squeeze=False)
    for ax, task in zip(axes[0], tasks, strict=True):
        beyond = budgets[task] / 1e6 * 1.5
        for row, arm in enumerate(arms):
            colour, marker = (DOT_TEXT, "s") if arm.startswith("dot") else (SIMPLICIAL, "o")
            for by_arm, up, face in ((large[task], 0.17, colour), (small[task], -0.17, "none")):
                values = by_arm.get(arm, ())
                at = [beyond if isinf(v) else v / 1e6 for v in values]
                shift = np.linspace(-0.1, 0.1, len(at)) if len(at) > 1 else [0.0]
                ax.plot(at, [-row + up + s for s in shift], marker, mec=colour, mfc=face, ms=5.5, linestyle="none")
            ax.axhline(-row - 0.5, color="#E4E4E4", lw=0.7, zorder=0)
        ax.axvline(budgets[task] / 1e6, **REFERENCE)
        ax.set_xscale("log")
        ax.set_xlim(0.3, beyond * 1.4)
        ax.set_xticks((0.5, 1, 2, 5), ["0.5", "1", "2", "5"])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(task, fontsize=11, fontweight="bold", loc="left")
        ax.text(budgets[task] / 1e6 * 1.1, 0.55, "never", ha="left", va="bottom", fontsize=9)
    axes[0, 0].set_yticks([-r for r in range(len(arms))], arms)
    axes[0, 0].set_ylim(-len(arms) + 0.45, 0.55)
    fig.supxlabel("millions of tokens to the target (log), one mark a seed; filled: embedding of 1, open: 0.02", fontsize=10.5)
    return fig


def remedies(found: Mapping[str, Mapping[str, Ratio]], limit: float) -> Figure:
    """Ratio to the layer at the bottom with its interval, a panel for each task and a row for each remedy; left of ``limit`` it helps."""
    rows = list(dict.fromkeys(remedy for by_remedy in found.values() for remedy in by_remedy))
    fig, axes = plt.subplots(1, len(found), figsize=(9, 0.42 * len(rows) + 1.2), sharey=True, squeeze=False)
    most = 20.0
    for ax, (task, by_remedy) in zip(axes[0], found.items(), strict=True):
        for row, remedy in enumerate(rows):
            if remedy not in by_remedy:
                continue
            r = by_remedy[remedy]
            low, value, high = (float(np.clip(x, 0.4, most)) for x in (r.low, r.value, r.high))
            ax.plot([low, high], [-row, -row], color=SIMPLICIAL, lw=2)
            ax.plot(value, -row, ">" if isinf(r.value) else "o", color=SIMPLICIAL, ms=8, mfc=SIMPLICIAL if r.low < limit else "white")
        ax.axvline(limit, **REFERENCE)
        ax.set_xscale("log")
        ax.set_xlim(0.4, most * 1.2)
        ax.set_xticks((0.5, 1, 1.5, 3, 5, 10, most), ["0.5", "1", "1.5", "3", "5", "10", "never"])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(task, fontsize=11, fontweight="bold", loc="left")
    axes[0, 0].set_yticks([-r for r in range(len(rows))], rows)
    axes[0, 0].set_ylim(-len(rows) + 0.4, 0.6)
    fig.supxlabel("tokens over those of the layer at the bottom, same embedding (log); filled: gives the gain back", fontsize=10.5)
    return fig


def windows(losses: Mapping[str, Sequence[float]], usual: str = "16 x 32") -> Figure:
    """Held-out loss of every seed less that of the same seed at ``usual``, one row for each ``"w1 x w2"``, with the interval of the mean.

    Filled marks see as many pairs as ``usual``, open ones another number.
    """
    areas = {shape: int(np.prod([int(w) for w in shape.split(" x ")])) for shape in losses}
    fig, ax = plt.subplots(figsize=(8, 0.5 * len(losses) + 1.0))
    shapes = sorted((shape for shape in losses if shape != usual), key=lambda shape: areas[shape])
    for row, shape in enumerate(shapes):
        face = SIMPLICIAL if areas[shape] == areas[usual] else "none"
        d = paired(losses[shape], losses[usual])
        ax.plot([d.low, d.high], [-row, -row], color=SIMPLICIAL, lw=6, alpha=0.25, solid_capstyle="butt")
        seeds = np.subtract(losses[shape], losses[usual])
        ax.plot(seeds, [-row] * len(seeds), "o", mec=SIMPLICIAL, mfc=face, ms=7, alpha=0.8, linestyle="none")
        ax.plot(d.mean, -row, "|", color="black", ms=16, mew=1.5)
    ax.axvline(0, **REFERENCE)
    ax.set_yticks([-r for r in range(len(shapes))], [f"{shape} = {areas[shape]}" for shape in shapes])
    ax.set_ylim(-len(shapes) + 0.4, 0.6)
    ax.set_ylabel("w1 x w2, pairs a query sees", fontsize=10.5)
    ax.set_xlabel(f"held-out loss less that of the same seed at {usual} (nats a byte); left is better", fontsize=10.5)
    return fig
