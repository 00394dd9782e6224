"""Figures as pure functions: state in, ``Figure`` out. One style, and colours that mean the same everywhere.

Query i is blue, first key j orange, second key k green; dot-product models are grey, 2-simplicial ones purple; references are thin,
dashed and black. Weights use one hue from pale to dark, signed numbers a diverging map centred on zero.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle

QUERY, KEY1, KEY2 = "#0072B2", "#D55E00", "#009E73"
KEY1_TEXT, KEY2_TEXT = "#A84300", "#00734F"
DOT, DOT_TEXT, SIMPLICIAL = "#8C8C8C", "#5E5E5E", "#7B3FA0"
WEIGHTS, SIGNED = "Blues", "RdBu_r"
REFERENCE = {"color": "black", "linestyle": "--", "linewidth": 0.9}


def style() -> None:
    """Set the course's figure style; called once at the top of a chapter."""
    mpl.rcdefaults()
    plt.rcParams.update(
        {
            "figure.figsize": (8.0, 3.6),
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.family": "DejaVu Sans",
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "lines.linewidth": 2.0,
            "image.interpolation": "nearest",
        }
    )


# --- tokens, edges and triangles -------------------------------------------------------------------------------------


def edge_and_triangle() -> Figure:
    """A pair of tokens as an edge, a triple as a filled triangle, with the score that each one gets."""
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.1))
    for ax in axes:
        ax.set_xlim(-0.2, 4.2)
        ax.set_ylim(-0.75, 2.75)
        ax.set_aspect("equal")
        ax.axis("off")
    left, right = axes
    left.plot([0.6, 3.4], [1.0, 1.0], color=DOT, lw=4, zorder=1)
    _token(left, (0.6, 1.0), "i", QUERY)
    _token(left, (3.4, 1.0), "j", KEY1)
    left.text(2, 1.22, "one number for the edge", ha="center", va="bottom")
    left.text(2, -0.45, r"dot product:  $A_{ij} = \sum_d\, q_{id}\, k_{jd}$", ha="center")
    corners = [(2.0, 2.3), (0.6, 0.2), (3.4, 0.2)]
    right.add_patch(Polygon(corners, closed=True, facecolor=SIMPLICIAL, alpha=0.25, edgecolor=SIMPLICIAL, lw=2.5))
    right.text(2, 0.82, "one number for\nthe triangle", ha="center", va="center")
    for at, name, colour in zip(corners, "ijk", (QUERY, KEY1, KEY2), strict=True):
        _token(right, at, name, colour)
    right.text(2, -0.62, r"2-simplicial:  $A_{ijk} = \sum_d\, q_{id}\, k1_{jd}\, k2_{kd}$", ha="center")
    return fig


def simplices() -> Figure:
    """A point, an edge, a filled triangle and a tetrahedron: simplices of dimension 0 to 3, all corners joined with all."""
    fig, axes = plt.subplots(1, 4, figsize=(8, 2.3))
    corners = [(0.5, 0.12), (1.5, 0.12), (1.0, 0.98), (1.0, 0.42)]
    names = ("0-simplex\na token", "1-simplex\na pair", "2-simplex\na triple", "3-simplex\nfour tokens")
    for size, (ax, name) in enumerate(zip(axes, names, strict=True), 1):
        ax.set_xlim(0.2, 1.8)
        ax.set_ylim(-0.5, 1.25)
        ax.set_aspect("equal")
        ax.axis("off")
        at = [(1.0, 0.5)] if size == 1 else [(0.5, 0.5), (1.5, 0.5)] if size == 2 else corners[:size]
        colour = {2: DOT, 3: SIMPLICIAL}.get(size, "#555555")
        if size >= 3:
            ax.add_patch(Polygon(corners[:3], closed=True, facecolor=colour, alpha=0.2 if size == 3 else 0.12, edgecolor="none"))
        for a, b in combinations(at, 2):
            ax.plot(*zip(a, b, strict=True), color=colour, lw=2, zorder=1)
        ax.plot(*zip(*at, strict=True), "o", ms=9, color="white", markeredgecolor=colour, markeredgewidth=2, zorder=2)
        ax.text(1.0, -0.14, name, ha="center", va="top", fontsize=10)
    return fig


def hollow_and_filled(pair_tables, triple_table) -> Figure:
    """What is known about three bits: one table of counts for each pair of them, and the counts of all eight triples."""
    fig, axes = plt.subplots(1, 4, figsize=(8, 2.5), width_ratios=[1, 1, 1, 2.2])
    for ax, ((first, second), table) in zip(axes, pair_tables.items(), strict=False):
        ax.imshow(np.asarray(table), cmap=WEIGHTS, vmin=0, vmax=float(triple_table.sum()) / 2)
        for (row, column), count in np.ndenumerate(np.asarray(table)):
            ax.text(column, row, f"{count:g}", ha="center", va="center")
        ax.set_xticks((0, 1), (f"{second}=0", f"{second}=1"), fontsize=9)
        ax.set_yticks((0, 1), (f"{first}=0", f"{first}=1"), fontsize=9)
    triples = np.asarray(triple_table).reshape(-1)
    axes[3].bar(range(8), triples, color=SIMPLICIAL)
    axes[3].set_xticks(range(8), [f"{t:03b}" for t in range(8)], fontsize=9)
    axes[3].set_ylabel("times seen")
    axes[3].set_xlabel("the three bits together")
    axes[3].set_yticks(range(int(triples.max()) + 1))
    return fig


def task_strips(tasks: dict[str, dict[str, list[float]]], guesses: dict[str, float]) -> Figure:
    """Final accuracy of every seed: one band a task, in it one row an arm, and the task's guess line."""
    rows = sum(len(arms) for arms in tasks.values())
    fig, ax = plt.subplots(figsize=(8, 0.9 + 0.27 * rows + 0.16 * len(tasks)))
    y = 0.0
    for name, arms in tasks.items():
        top = y + 0.5
        for arm, values in arms.items():
            colour, text, marker, _ = ARM_LOOK[arm]
            ax.plot(values, [y] * len(values), marker, color=colour, alpha=0.75, markersize=7, linestyle="none", clip_on=False, zorder=3)
            ax.text(1.02, y, arm, color=text, va="center", fontsize=9.5, transform=ax.get_yaxis_transform())
            ax.axhline(y, color="#E4E4E4", lw=0.7, zorder=0)
            y -= 1
        ax.plot([guesses[name]] * 2, [top, y + 0.5], **REFERENCE)
        ax.text(-0.02, (top + y + 0.5) / 2, name, va="center", ha="right", transform=ax.get_yaxis_transform())
        y -= 0.6
    ax.set_ylim(y + 0.9, 0.6)
    ax.set_xlim(0.48, 1.0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("final accuracy on new sequences, one mark a seed; dashed: best guess from the position alone")
    return fig


def match_sequence(tokens, modulus: int, i: int, partners: list[tuple[int, int]]) -> Figure:
    """A sequence with query ``i``; each pair ``(j, k)`` in ``partners`` closes a triangle that sums to a multiple of ``modulus``."""
    fig, ax = plt.subplots(figsize=(8, 3.8))
    n, apex, shown = len(tokens), 2.5, partners[:3]
    for j, k in shown:
        corners = [(i, apex), (j, 0), (k, 0)]
        ax.add_patch(Polygon(corners, closed=True, facecolor=SIMPLICIAL, alpha=0.16, edgecolor=SIMPLICIAL, lw=1.6))
    hit = {p for pair in shown for p in pair}
    for p in range(n):
        pale = 0.35 if p > i else 1
        colour = QUERY if p == i else SIMPLICIAL if p in hit else DOT
        face = "#EFE6F5" if p in hit else "white"
        ax.add_patch(Circle((p, 0), 0.36, facecolor=face, edgecolor=colour, lw=2.2, alpha=pale, zorder=3))
        ax.text(p, 0, str(int(tokens[p])), ha="center", va="center", alpha=pale, zorder=4)
        ax.text(p, -0.62, str(p), ha="center", va="center", fontsize=9, color="#555555")
    ax.plot([i, i], [0.36, apex - 0.27], color=QUERY, lw=1.2)
    _token(ax, (i, apex), "i", QUERY, radius=0.3)
    sums = [
        f"j={j}, k={k}:  {int(tokens[i])} + {int(tokens[j])} + {int(tokens[k])} = {int(tokens[i] + tokens[j] + tokens[k])}"
        for j, k in shown
    ]
    if len(partners) > len(shown):
        sums.append(f"and {len(partners) - len(shown)} more")
    if not sums:
        sums = ["no two earlier tokens close a triangle: the label is 0"]
    for line, text in enumerate(sums):
        ax.text(n / 2 - 0.5, -1.25 - 0.48 * line, text, ha="center", va="center", fontsize=10.5)
    ax.text(-0.7, -0.62, "position", ha="right", va="center", fontsize=9, color="#555555")
    ax.text(-0.7, 0, "token", ha="right", va="center", fontsize=10)
    ax.set_xlim(-2.0, n - 0.4)
    ax.set_ylim(-2.8, 2.9)
    ax.set_aspect("equal")
    ax.axis("off")
    return fig


# --- training --------------------------------------------------------------------------------------------------------

ARM_LOOK = {
    "2-simplicial, 1 layer": (SIMPLICIAL, SIMPLICIAL, "o", "-"),
    "dot product, 1 layer": (DOT, DOT_TEXT, "s", "-"),
    "dot product, 2 layers": (DOT, DOT_TEXT, "^", "--"),
}


def accuracy_curves(arms: dict[str, list[tuple[list[int], list[float]]]], guess: float) -> Figure:
    """Accuracy against tokens: every seed thin, the median of each arm thick, the guess line dashed.

    ``arms`` maps an arm's name to one ``(tokens, accuracy)`` curve a seed.
    """
    fig, ax = plt.subplots(figsize=(8, 3.9))
    ends = []
    for arm, curves in arms.items():
        colour, text, marker, line = ARM_LOOK[arm]
        tokens = np.array(curves[0][0]) / 1e6
        for _, accuracy in curves if len(curves) > 1 else ():
            ax.plot(tokens, accuracy, color=colour, lw=0.8, alpha=0.6, linestyle=line)
        median = np.median(np.array([a for _, a in curves]), axis=0)
        every = max(1, len(tokens) // 8)
        ax.plot(tokens, median, color=colour, marker=marker, markevery=every, markersize=6, linestyle=line)
        ends.append((median[-1], tokens[-1], arm, text))
    right = ends[0][1]
    ax.plot([0, right], [guess, guess], **REFERENCE)
    ends.append((guess, right, f"position guess, {guess:.3f}", "black"))
    heights = _spread([e[0] for e in ends], gap=0.02)
    for (_, x, arm, text), y in zip(ends, heights, strict=True):
        ax.text(x * 1.015, y, arm, color=text, va="center", fontsize=10.5)
    ax.set_xlim(0, right * 1.36)
    ax.set_xticks([t for t in ax.get_xticks() if t <= right])
    ax.spines["bottom"].set_bounds(0, right)
    low = min(min(min(a) for _, a in curves) for curves in arms.values())
    ax.set_ylim(min(low, guess - 0.05) - 0.01, 1.005)
    ax.set_xlabel("training tokens (millions)")
    ax.set_ylabel("accuracy on new sequences")
    return fig


def seed_strip(arms: dict[str, list[float]], guess: float) -> Figure:
    """Final accuracy of every seed, one row an arm, with the guess line."""
    fig, ax = plt.subplots(figsize=(8, 2.3))
    for row, (arm, values) in enumerate(arms.items()):
        colour, text, marker, _ = ARM_LOOK[arm]
        ax.plot(values, [-row] * len(values), marker, color=colour, alpha=0.75, markersize=8, linestyle="none")
        ax.text(1.012, -row, arm, color=text, va="center", transform=ax.get_yaxis_transform())
        ax.axhline(-row, color="#DDDDDD", lw=0.7, zorder=0)
    ax.axvline(guess, **REFERENCE)
    ax.text(guess + 0.003, 0.62, f"position guess {guess:.3f}", va="bottom", fontsize=10)
    lowest = min(min(v) for v in arms.values())
    ax.set_xlim(min(lowest, guess) - 0.01, 1.0)
    ax.set_ylim(-len(arms) + 0.5, 0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("final accuracy on new sequences, one mark a seed")
    return fig


# --- pairs -----------------------------------------------------------------------------------------------------------


def weight_matrix(P, *, row: int | None = None, tokens=None, logits=None) -> Figure:
    """Attention weights ``P[i, j]`` as a heatmap; query ``row`` is framed and drawn as bars beside it."""
    P = torch.as_tensor(P).double().numpy()
    S = P.shape[0]
    names = [str(t) for t in (tokens if tokens is not None else range(S))]
    fig, (ax, bars) = plt.subplots(1, 2, figsize=(8, 3.9), width_ratios=[1.15, 1])
    image = ax.imshow(P, cmap=WEIGHTS, vmin=0, vmax=1)
    fig.colorbar(image, ax=ax, label="weight", shrink=0.85)
    ax.set_xticks(range(S), names, color=KEY1_TEXT)
    ax.set_yticks(range(S), names, color=QUERY)
    ax.set_xlabel("key j", color=KEY1_TEXT)
    ax.set_ylabel("query i", color=QUERY)
    if S <= 8:
        for i in range(S):
            for j in range(S):
                ax.text(j, i, f"{P[i, j]:.2f}", ha="center", va="center", fontsize=9, color="white" if P[i, j] > 0.55 else "#222222")
    row = S - 1 if row is None else row
    ax.add_patch(Rectangle((-0.5, row - 0.5), S, 1, fill=False, edgecolor=QUERY, lw=2.5))
    bars.bar(range(S), P[row], color=KEY1, width=0.7)
    bars.set_ylim(0, 1.05)
    bars.set_xticks(range(S), names, color=KEY1_TEXT)
    bars.set_xlabel("key j", color=KEY1_TEXT)
    bars.set_ylabel(f"weight of query {row}")
    return fig


def softmax_overflow(x, naive, stable) -> Figure:
    """The same logits through a naive and a stable softmax; ``nan`` is drawn as a gap with a mark."""
    fig, axes = plt.subplots(1, 2, figsize=(8, 2.9), sharey=True)
    for ax, y, name in zip(axes, (naive, stable), ("naive: exp(x) / sum", "shifted: exp(x - max) / sum"), strict=True):
        y = torch.as_tensor(y).double().numpy()
        ok = np.isfinite(y)
        ax.bar(np.arange(len(y))[ok], y[ok], color=KEY1, width=0.7)
        for j in np.arange(len(y))[~ok]:
            ax.text(j, 0.08, "nan", ha="center", color="black", fontsize=11)
            ax.plot(j, 0.03, "x", color="black", markersize=8)
        ax.set_xticks(range(len(y)), [f"{float(v):g}" for v in x])
        ax.set_ylim(0, 1.05)
        ax.set_title(name, loc="left")
        ax.set_xlabel("logit")
    axes[0].set_ylabel("weight")
    return fig


def logits_memory(lengths, rows: dict[str, list[float]], limits: dict[str, float]) -> Figure:
    """Bytes against sequence length on log axes, one line a method, with the memory of some machines as references."""
    fig, ax = plt.subplots(figsize=(8, 3.9))
    looks = ((DOT, DOT_TEXT, "s"), (SIMPLICIAL, SIMPLICIAL, "o"))
    if len(rows) > len(looks):
        raise ValueError(f"rows has {len(rows)} methods, at most {len(looks)} can be told apart")
    for (name, values), (colour, text, marker) in zip(rows.items(), looks, strict=False):
        ax.plot(lengths, values, color=colour, marker=marker, markersize=5)
        ax.text(lengths[-1] * 1.12, values[-1], name, color=text, va="center", fontsize=10.5)
    for name, value in limits.items():
        ax.axhline(value, **REFERENCE)
        ax.text(lengths[0], value * 1.25, name, va="bottom", fontsize=10)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=10)
    ax.set_xticks(lengths, [f"{s:,}" if s < 1024 else f"{s // 1024}k" for s in lengths])
    ax.set_xlim(lengths[0] * 0.9, lengths[-1] * 6.5)
    ax.minorticks_off()
    low = min(min(v) for v in rows.values())
    high = max(max(max(v) for v in rows.values()), *limits.values()) if limits else max(max(v) for v in rows.values())
    ticks = [(10**e, n) for e, n in ((3, "1 kB"), (6, "1 MB"), (9, "1 GB"), (12, "1 TB"), (15, "1 PB")) if low / 40 <= 10**e <= high * 40]
    ax.set_yticks([t for t, _ in ticks], [n for _, n in ticks])
    ax.set_xlabel("sequence length S (log scale)")
    ax.set_ylabel("bytes of logits (log scale)")
    return fig


# --- triples ---------------------------------------------------------------------------------------------------------


def layer_stacks(stacks: dict[str, tuple[str, ...]]) -> Figure:
    """Models as stacks of layers, the bottom below: grey boxes look at tokens, purple ones with a triangle at pairs of tokens."""
    fig, ax = plt.subplots(figsize=(8, 0.9 + 0.36 * max(map(len, stacks.values()))))
    for x, (name, layers) in enumerate(stacks.items()):
        for y, kind in enumerate(layers):
            triple = kind == "simplicial"
            ax.add_patch(
                Rectangle((x - 0.33, y + 0.1), 0.66, 0.8, facecolor=SIMPLICIAL if triple else "#D9D9D9", edgecolor="black", lw=0.8)
            )
            if triple:
                ax.add_patch(Polygon([(x - 0.07, y + 0.3), (x + 0.07, y + 0.3), (x, y + 0.72)], facecolor="white"))
            else:
                ax.plot([x - 0.07, x + 0.07], [y + 0.5] * 2, color=DOT_TEXT, lw=1.5)
        ax.text(x, -0.25, name, ha="center", va="top", fontsize=9.5)
    ax.annotate("input", (-0.62, 0.1), fontsize=9.5, ha="right", va="center")
    ax.annotate("", (-0.55, max(map(len, stacks.values())) - 0.1), (-0.55, 0.1), arrowprops={"arrowstyle": "->", "color": "black"})
    ax.set_xlim(-1.0, len(stacks) - 0.4)
    ax.set_ylim(-1.4, max(map(len, stacks.values())) + 0.1)
    ax.axis("off")
    return fig


def pair_plane(
    P, i: int, *, w1: int | None = None, w2: int | None = None, vmax: float | None = None, marks: list[tuple[int, int]] = ()
) -> Figure:
    """The weights of one query on the (j, k) plane, its window as a rectangle, its own position marked on both axes.

    ``P[i, j, k]`` holds the weights of all queries. The bars below and beside the plane are the sums over k and over j. ``marks`` are pairs
    to be circled.
    """
    P = torch.as_tensor(P).double().numpy()
    S = P.shape[0]
    plane = P[i]
    fig, grid = plt.subplots(2, 3, figsize=(8, 4.3), width_ratios=[4, 1.2, 0.2], height_ratios=[4, 1.1])
    ax, by_j, bar, by_k = grid[0, 0], grid[0, 1], grid[0, 2], grid[1, 0]
    grid[1, 1].axis("off")
    grid[1, 2].axis("off")
    image = ax.imshow(plane, cmap=WEIGHTS, vmin=0, vmax=vmax or max(plane.max(), 1e-9), aspect="auto")
    fig.colorbar(image, cax=bar, label="weight of the pair")
    _plane_axes(ax, S)
    _window(ax, i, S, w1, w2)
    for j, k in marks:
        ax.plot(k, j, "o", ms=15, mfc="none", mec=SIMPLICIAL, mew=2)
    if S <= 6:
        for j in range(S):
            for k in range(S):
                if j <= i and k <= i:
                    dark = plane[j, k] > 0.55 * plane.max()
                    ax.text(k, j, f"{plane[j, k]:.2f}", ha="center", va="center", fontsize=9, color="white" if dark else "#222222")
    by_j.barh(range(S), plane.sum(1), color=KEY1, height=0.8)
    by_j.set_ylim(S - 0.5, -0.5)
    by_j.set_xlim(0, 1)
    by_j.set_yticks([])
    by_j.set_xlabel("sum over k")
    by_k.bar(range(S), plane.sum(0), color=KEY2, width=0.8)
    by_k.set_xlim(-0.5, S - 0.5)
    by_k.set_ylim(0, 1)
    by_k.set_xticks([])
    by_k.set_ylabel("sum\nover j")
    return fig


def pair_of_planes(left, right, titles: tuple[str, str]) -> Figure:
    """Two small (j, k) planes side by side, every number printed, and the total of each."""
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.3))
    for ax, plane, title in zip(axes, (left, right), titles, strict=True):
        plane = torch.as_tensor(plane).double().numpy()
        ax.imshow(plane, cmap=WEIGHTS, vmin=0, vmax=1)
        for (j, k), value in np.ndenumerate(plane):
            ax.text(k, j, f"{value:.3f}", ha="center", va="center", color="white" if value > 0.55 else "#222222")
        _plane_axes(ax, plane.shape[0])
        ax.set_title(f"{title}\ntotal {plane.sum():.2f}", loc="left")
    return fig


def memory_bars(rows: dict[str, tuple[float, float]]) -> Figure:
    """Counted bytes (outline) against measured bytes (filled), one pair of bars a method."""
    fig, ax = plt.subplots(figsize=(8, 2.2 + 0.25 * len(rows)))
    top = max(max(pair) for pair in rows.values())
    for n, (_, (counted, measured)) in enumerate(rows.items()):
        ax.barh(-n + 0.18, measured / 1e6, height=0.32, color=SIMPLICIAL)
        ax.barh(-n - 0.18, counted / 1e6, height=0.32, facecolor="white", edgecolor=SIMPLICIAL, hatch="//")
        ax.text(measured / 1e6 + top / 1e6 * 0.01, -n + 0.18, f"{measured / 1e6:.1f} MB measured", va="center", fontsize=10)
        ax.text(counted / 1e6 + top / 1e6 * 0.01, -n - 0.18, f"{counted / 1e6:.1f} MB counted", va="center", fontsize=10)
    ax.set_yticks([-n for n in range(len(rows))], list(rows))
    ax.set_xlim(0, top / 1e6 * 1.3)
    ax.set_xlabel("memory (MB)")
    return fig


# --- rotations -------------------------------------------------------------------------------------------------------


def rotation_scores(angles, curves: dict[str, list[float]], angle: float, vectors) -> Figure:
    """Three vectors turned together by ``angle`` (degrees, around the third axis), and three scores of them over all angles.

    ``vectors`` are q, k1, k2 in three dimensions before the turn; seen from above, so that the third component does not show.
    """
    fig, (ax, score) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1, 1.6])
    turn = math.radians(angle)
    for v, name, colour in zip(vectors, ("q", "k1", "k2"), (QUERY, KEY1, KEY2), strict=True):
        x, y, _ = (float(c) for c in v)
        to = (x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn))
        ax.plot([0, x], [0, y], color=colour, lw=1, ls=":", alpha=0.7)
        ax.annotate("", to, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2})
        ax.text(to[0] * 1.17, to[1] * 1.17, name, color=colour, ha="center", va="center", fontweight="bold")
    reach = 1.35 * max(float(v[:2].norm()) for v in vectors)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel(f"all three turned by {angle:g}°,\nseen along the third axis\n(dotted: before)", fontsize=10)
    looks = {
        "dot product <q, k1>": (DOT, DOT_TEXT, "-"),
        "trilinear": (SIMPLICIAL, SIMPLICIAL, "--"),
        "determinant": (SIMPLICIAL, SIMPLICIAL, "-"),
    }
    heights = _spread([c[-1] for c in curves.values()], gap=0.09 * (max(map(max, curves.values())) - min(map(min, curves.values()))))
    for (name, values), y in zip(curves.items(), heights, strict=True):
        colour, text, line = looks[name]
        score.plot(angles, values, color=colour, ls=line)
        score.plot(angle, np.interp(angle, angles, values), "o", color=colour, markersize=7)
        score.text(368, y, name, color=text, va="center", fontsize=10.5)
    score.axvline(angle, **REFERENCE)
    score.set_xlim(0, 530)
    score.set_xticks([0, 90, 180, 270, 360])
    score.spines["bottom"].set_bounds(0, 360)
    score.set_xlabel("common turn (degrees)")
    score.set_ylabel("score")
    return fig


def weight_strip(z, labels, modulus: int) -> Figure:
    """Weight on pairs of tokens for many queries, those with a match above those without; the thresholds of the decision are dashed."""
    z, labels = torch.as_tensor(z).flatten().double().numpy(), torch.as_tensor(labels).flatten().numpy().astype(bool)
    fig, ax = plt.subplots(figsize=(8, 2.5))
    rng = np.random.default_rng(0)
    for y, (name, chosen) in enumerate((("no match", ~labels), ("a match", labels))):
        ax.plot(z[chosen], y + rng.uniform(-0.22, 0.22, chosen.sum()), ".", color=SIMPLICIAL if y else DOT, markersize=4, alpha=0.5)
        ax.text(1.02, y, f"{name}\n({chosen.sum():,} queries)", va="center", color=SIMPLICIAL if y else DOT_TEXT)
    for at, side in ((3 / 16, "right"), (5 / 16, "left")):
        ax.axvline(at, **REFERENCE)
        nudge, answer = (0.006, 1) if side == "left" else (-0.006, 0)
        ax.text(at + nudge, 1.5, f"answer {answer}", ha=side, va="center", fontsize=9)
    ax.text(1 / 4, 1.5, "ramp", ha="center", va="center", fontsize=9)
    ax.set_xlim(-0.01, 1.2)
    ax.set_ylim(-0.5, 1.7)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.set_xlabel(f"weight z on pairs of tokens, M = {modulus}")
    return fig


# --- windows and cost --------------------------------------------------------------------------------------------------


def window_budget(w1: int, w2: int, n: int, pair_flops: float, triple_flops: float, layer: list[tuple[str, str, str]]) -> Figure:
    """The windows drawn to scale on the plane of the last 1024 positions, beside the work of both layers for one query and channel.

    Below, ``layer``: what one head needs over the whole context, rows ``(what, dot product, triples)``, the first with their names.
    """
    fig = plt.figure(figsize=(8, 5.5))
    top, bottom = fig.add_gridspec(2, 1, height_ratios=[3.4, 1.9])
    ax, bars = fig.add_subfigure(top).subplots(1, 2, width_ratios=[1, 1.25])
    numbers = fig.add_subfigure(bottom).subplots()
    side = 1024
    ax.set_xlim(-side, 0)
    ax.set_ylim(0, -side)
    ax.add_patch(Rectangle((-w2, -w1), w2, w1, facecolor=SIMPLICIAL, alpha=0.35, edgecolor=QUERY, lw=1.8))
    ax.plot(0, 0, marker="D", color=QUERY, markersize=8, clip_on=False, zorder=4)
    ax.set_aspect("equal")
    ax.set_xticks([-1024, -512, 0], ["i - 1024", "i - 512", "i"], color=KEY2_TEXT)
    ax.set_yticks([-1024, -512, 0], ["i - 1024", "i - 512", "i"], color=KEY1_TEXT)
    ax.set_xlabel("second key k", color=KEY2_TEXT)
    ax.set_ylabel("first key j", color=KEY1_TEXT)
    work = {f"dot product,\nall keys, n = {n:,}": (pair_flops, DOT), f"triples,\n{w1} x {w2}": (triple_flops, SIMPLICIAL)}
    most = max(pair_flops, triple_flops)
    for y, (flops, colour) in enumerate(work.values()):
        bars.barh(-y, flops / 1e3, color=colour, height=0.55)
        bars.text(flops / 1e3 + most / 1e3 * 0.02, -y, f"{flops:,.0f}", va="center")
    bars.set_yticks([0, -1], list(work))
    bars.set_xlim(0, most / 1e3 * 1.3)
    bars.set_xlabel("FLOPs a query and channel (thousands)")
    numbers.axis("off")
    columns = ((0.02, "left", "black"), (0.72, "right", DOT_TEXT), (0.95, "right", SIMPLICIAL))
    for y, line in enumerate(layer):
        for (x, align, colour), text in zip(columns, line, strict=True):
            at = 1 - y / (len(layer) - 1)
            numbers.text(x, at, text, ha=align, va="center", color=colour, transform=numbers.transAxes)
    return fig


def context_cost(contexts, lines: dict[str, list[float]], crossings: dict[str, float], at: int) -> Figure:
    """FLOPs for one query against the context, log axes: a dot product's line grows, those of windows stay.

    Where they cross is marked, and how far the first two lines are apart at the context ``at``.
    """
    fig, ax = plt.subplots(figsize=(8, 3.9))
    for n, (name, values) in enumerate(lines.items()):
        colour, text = (DOT, DOT_TEXT) if n == 0 else (SIMPLICIAL, SIMPLICIAL)
        ax.plot(contexts, values, color=colour, ls="-" if n < 2 else "--")
        ax.text(contexts[-1] * 1.1, values[-1], name, color=text, va="center", fontsize=10.5)
    for name, n in crossings.items():
        y = float(np.interp(n, contexts, next(iter(lines.values()))))
        ax.plot([n, n], [0, y], **REFERENCE)
        ax.plot(n, y, "o", color="black", markersize=6)
        ax.annotate(name, (n, y), xytext=(-8, 8), textcoords="offset points", ha="right", fontsize=10)
    low, high = (float(np.interp(at, contexts, v)) for v in list(lines.values())[:2])
    ax.annotate("", (at, low), (at, high), arrowprops={"arrowstyle": "<->", "color": "black", "shrinkA": 0, "shrinkB": 0})
    ax.text(at * 0.94, math.sqrt(low * high), f"{high / low:.0f} times", ha="right", va="center", fontsize=10)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(contexts[1::2], [f"{c // 1024}k" for c in contexts[1::2]])
    ax.minorticks_off()
    ax.set_xlim(contexts[0] * 0.9, contexts[-1] * 9)
    ax.set_ylim(bottom=min(min(v) for v in lines.values()) * 0.6)
    ax.set_xlabel("context n (log scale)")
    ax.set_ylabel("FLOPs a query and channel (log scale)")
    return fig


def latencies(rows: dict[tuple[int, int], float]) -> Figure:
    """Published latency for each pair of windows, sorted by pairs; the dashed line is a fixed price for each pair."""
    fig, ax = plt.subplots(figsize=(8, 3.6))
    order = sorted(rows, key=lambda w: (w[0] * w[1], w[0]))
    price = np.exp(np.mean([np.log(rows[w] / (w[0] * w[1])) for w in order]))
    for y, (w1, w2) in enumerate(order):
        ax.barh(y, rows[w1, w2], color=SIMPLICIAL, height=0.6)
        ax.plot([price * w1 * w2] * 2, [y - 0.42, y + 0.42], **REFERENCE)
        ax.text(2, y, f"{rows[w1, w2]:g} ms", ha="left", va="center", fontsize=10, color="white")
    ax.set_yticks(range(len(order)), [f"{w1} x {w2}, {w1 * w2 // 1024}k pairs" for w1, w2 in order])
    ax.set_xlim(0, max(rows.values()) * 1.06)
    ax.set_ylabel("w1 x w2")
    ax.set_xlabel(f"latency (ms); dashed: if every pair cost the mean of all {len(order)}")
    return fig


def executed_work(rows: dict[str, list[float]], positions: list[int]) -> Figure:
    """Pairs executed for each pair seen, over the neighbouring queries in a tile; 1 means that nothing is wasted."""
    fig, ax = plt.subplots(figsize=(8, 3.6))
    for (name, values), marker in zip(rows.items(), "osD^", strict=False):
        ax.plot(positions, values, color=SIMPLICIAL, marker=marker, markersize=6, lw=1.5)
        ax.text(positions[-1] * 1.1, values[-1], name, color=SIMPLICIAL, va="center", fontsize=10.5)
    ax.axhline(1, **REFERENCE)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_xticks(positions, [str(p) for p in positions])
    ticks = [t for t in (1, 2, 4, 8, 16, 32) if t <= 1.2 * max(max(v) for v in rows.values())]
    ax.set_yticks(ticks, [str(t) for t in ticks])
    ax.set_xlim(positions[0] * 0.9, positions[-1] * 2.6)
    ax.set_xlabel("neighbouring queries in a tile (log scale)")
    ax.set_ylabel("pairs executed / pairs seen (log scale)")
    return fig


def roofline(chip, points: dict[str, tuple[float, str]], highlight: str | None = None) -> Figure:
    """The highest rate that a chip allows at each intensity, log axes; ``points`` are ``name: (FLOPs a byte, "dot" or "triples")``."""
    fig, ax = plt.subplots(figsize=(8, 4.0))
    x = np.logspace(0, 5, 400)
    ax.plot(x, np.minimum(chip.products, x * chip.memory), color="black", lw=1.8)
    ax.plot([chip.ridge] * 2, [1, chip.products], **REFERENCE)
    ax.text(chip.ridge * 1.08, 1.3, f"{chip.ridge:.0f} FLOPs a byte", fontsize=9.5)
    ax.text(1.15, 5.5, f"memory: {chip.memory:g} TB/s", rotation=34, fontsize=9.5, va="bottom")
    ax.text(9e4, chip.products * 1.15, f"products: {chip.products:.0f} TFLOP/s", fontsize=9.5, ha="right", va="bottom")
    for n, (name, (at, kind)) in enumerate(points.items()):
        y = min(chip.products, at * chip.memory)
        colour, marker = (DOT, "s") if kind == "dot" else (SIMPLICIAL, "o")
        text = DOT_TEXT if kind == "dot" else SIMPLICIAL
        big = name == highlight
        ax.plot(at, y, marker, color=colour, ms=11 if big else 7, mec="black" if big else colour, zorder=4)
        down = y / (2.2 if n % 2 == 0 else 4.6)
        ax.plot([at, at], [down * 1.15, y], color=colour, lw=0.8)
        ax.text(at, down, name, color=text, fontsize=9.5, ha="center" if 5 < at < 3e4 else "left", va="top")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(1, 1e5)
    ax.set_ylim(1, 3000)
    ax.set_xlabel("FLOPs for each byte moved (log)")
    ax.set_ylabel("highest rate (TFLOP/s, log)")
    return fig


# --- tiles -----------------------------------------------------------------------------------------------------------


def tile_walk(S: int, i: int, *, w1: int, w2: int, block_k: int, outer: str = "k") -> Figure:
    """The order in which a program visits the pairs of query ``i``: numbered strips of one first key and ``block_k`` second keys."""
    fig, ax = plt.subplots(figsize=(6.2, 4.2))
    _walk(ax, S, i, w1, w2, _strips(i, w1, w2, block_k, outer), done=None)
    return fig


def walk_state(S: int, i: int, trace, *, w1: int, w2: int, block_k: int, step: int) -> Figure:
    """The walk after ``step`` of its steps, what the program holds then, and the output it would give, beside the final one.

    ``trace`` is that of :func:`simplex_lab.tiled.forward_program` for the single row ``i``.
    """
    fig, (ax, state, out) = plt.subplots(1, 3, figsize=(8, 3.7), width_ratios=[1.5, 1, 1])
    _walk(ax, S, i, w1, w2, _strips(i, w1, w2, block_k, "k"), done=step)
    steps = np.arange(1, len(trace) + 1)
    m = np.array([float(t[2]) for t in trace])
    lse2 = np.array([float(t[2] + torch.log2(t[3])) for t in trace])
    state.step(steps[:step], m[:step], where="mid", color="black", lw=1.2)
    state.plot(steps[:step], lse2[:step], color=SIMPLICIAL, marker="o", markersize=4)
    state.axhline(lse2[-1], **REFERENCE)
    state.set_xlim(0.3, len(trace) + 0.7)
    low, high = min(m.min(), 0.0), lse2.max()
    state.set_ylim(low - 0.5, high + 0.12 * (high - low) + 0.5)
    state.text(len(trace) + 0.5, lse2[-1] + 0.1, "final lse2", ha="right", va="bottom", fontsize=9)
    state.set_xticks(range(1, len(trace) + 1, 1 if len(trace) <= 8 else 3))
    state.set_xlabel("steps done")
    state.set_ylabel("base 2: m (black), m + log2 l (purple)", fontsize=9.5)
    final = (trace[-1][4] / trace[-1][3][:, None])[0].double().numpy()
    now = (trace[step - 1][4] / trace[step - 1][3][:, None])[0].double().numpy() if step else np.zeros_like(final)
    out.bar(range(len(final)), now, color=SIMPLICIAL, width=0.7)
    out.plot(range(len(final)), final, "_", color="black", markersize=16, markeredgewidth=1.6)
    span = max(np.abs([t[4][0].double().numpy() / float(t[3]) for t in trace]).max(), 1e-9) * 1.1
    out.set_ylim(-span, span)
    out.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    out.set_xticks(range(len(final)))
    out.set_xlabel("channel d")
    out.set_ylabel("acc / l (bars), final o (ticks)", fontsize=9.5)
    return fig


def _strips(i, w1, w2, block_k, outer):
    """``(j, k0, k1)`` in the order of the walk."""
    js = range(max(0, i - w1 + 1), i + 1)
    ks = [(k0, min(k0 + block_k, i + 1)) for k0 in range(max(0, i - w2 + 1), i + 1, block_k)]
    return [(j, *k) for k in ks for j in js] if outer == "k" else [(j, *k) for j in js for k in ks]


def _walk(ax, S, i, w1, w2, strips, done):
    ax.set_xlim(-0.5, S - 0.5)
    ax.set_ylim(S - 0.5, -0.5)
    _plane_axes(ax, S)
    _window(ax, i, S, w1, w2)
    for n, (j, k0, k1) in enumerate(strips, 1):
        face = "white" if done is not None and n > done else "#E3D5EE" if n != done else SIMPLICIAL
        ax.add_patch(Rectangle((k0 - 0.45, j - 0.42), k1 - k0 - 0.1, 0.84, facecolor=face, edgecolor=SIMPLICIAL, lw=1, zorder=2))
        colour = "white" if n == done else "#222222"
        ax.text((k0 + k1 - 1) / 2, j, str(n), ha="center", va="center", fontsize=9, color=colour, zorder=5)


# --- helpers ---------------------------------------------------------------------------------------------------------


def _token(ax, at, name, colour, radius=0.3):
    ax.add_patch(Circle(at, radius, facecolor=colour, edgecolor="white", lw=1.5, zorder=3))
    ax.text(*at, name, ha="center", va="center", color="white", fontsize=12, fontweight="bold", zorder=4)


def _plane_axes(ax, S):
    every = 1 if S <= 12 else 4
    ax.set_xticks(range(0, S, every), [str(t) for t in range(0, S, every)], color=KEY2_TEXT)
    ax.set_yticks(range(0, S, every), [str(t) for t in range(0, S, every)], color=KEY1_TEXT)
    ax.set_xlabel("second key k", color=KEY2_TEXT)
    ax.set_ylabel("first key j", color=KEY1_TEXT)


def _window(ax, i, S, w1, w2):
    """The visible rectangle of query ``i`` and the hidden rest of the plane."""
    j0, k0 = max(0, i + 1 - (w1 or S)), max(0, i + 1 - (w2 or S))
    hidden = np.ones((S, S))
    hidden[j0 : i + 1, k0 : i + 1] = np.nan
    ax.imshow(hidden, cmap=mpl.colors.ListedColormap(["#E6E6E6"]), aspect="auto", zorder=1.5)
    ax.add_patch(Rectangle((k0 - 0.5, j0 - 0.5), i + 1 - k0, i + 1 - j0, fill=False, edgecolor=QUERY, lw=2.2, zorder=3))
    ax.plot(i, i, marker="D", color=QUERY, markersize=7, markeredgecolor="white", zorder=4)
    if i + 1 < S:
        ax.add_patch(
            FancyArrowPatch(
                (min(i + 1.6, S - 0.7), min(i + 1.6, S - 0.7)),
                (i + 0.25, i + 0.25),
                color=QUERY,
                arrowstyle="->",
                mutation_scale=12,
                zorder=4,
            )
        )
        ax.text(min(i + 1.7, S - 0.6), min(i + 1.7, S - 0.6), f"i={i}", color=QUERY, va="top", ha="center", zorder=4)


def _spread(values, gap):
    """Move label heights apart so that neighbours keep ``gap``, keeping their order."""
    order = np.argsort(values)
    placed = np.array(values, dtype=float)
    for a, b in pairwise(order):
        placed[b] = max(placed[b], placed[a] + gap)
    return placed
