"""What one program of the forward kernel visits on the plane of pairs: steps that all of its rows see whole, and steps that need a mask."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from simplex_lab import plots

WHOLE, PARTLY, NOW = "#C9B3DA", "#F0E9F5", plots.SIMPLICIAL


def steps(S: int, i_first: int, positions: int, w1: int, w2: int, block_k: int) -> list[tuple[int, int, np.ndarray]]:
    """Each step of the walk, in order: first key ``j``, first of its ``block_k`` second keys, and ``seen [positions, block_k]``."""
    i = np.arange(i_first, min(i_first + positions, S))
    found = []
    for k0 in range(max(i_first - w2 + 1, 0), i[-1] + 1, block_k):
        k = k0 + np.arange(block_k)
        see_k = (k[None] <= i[:, None]) & (k[None] > i[:, None] - w2)
        for j in range(max(i_first - w1 + 1, 0), i[-1] + 1):
            found.append((j, k0, see_k & ((j <= i) & (j > i - w1))[:, None]))
    return found


def program_walk(S: int, i_first: int, positions: int, *, w1: int, w2: int, block_k: int, step: int) -> Figure:
    """The program's steps as strips of one ``j`` and ``block_k`` ``k``: dark the present one, hatched what some row does not see whole.

    Diamonds are the program's queries on the diagonal; the outlines are the windows of its first and last.
    """
    fig, ax = plt.subplots(figsize=(6.6, 4.6))
    walk = steps(S, i_first, positions, w1, w2, block_k)
    for number, (j, k0, seen) in enumerate(walk, 1):
        whole = bool(seen.all())
        fill = NOW if number == step else WHOLE if whole else PARTLY
        hatch = "" if whole else "///"
        edge = "white" if number == step and hatch else "#6B5A78"
        shade = 1.0 if number <= step else 0.45
        box = Rectangle((k0 - 0.5, j - 0.5), block_k, 1, facecolor=fill, edgecolor=edge, lw=0.6, hatch=hatch, alpha=shade)
        ax.add_patch(box)
    last = min(i_first + positions, S) - 1
    for i, style in ((i_first, "-"), (last, "--")):
        left, top = max(i - w2 + 1, 0), max(i - w1 + 1, 0)
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), i - left + 1, i - top + 1, fill=False, edgecolor="#0072B2", lw=1.6, ls=style))
    at = np.arange(i_first, last + 1)
    ax.plot(at, at, "D", color="#0072B2", ms=5, zorder=5)
    ax.annotate("queries", (last, last), xytext=(8, -4), textcoords="offset points", color="#0072B2", va="top")
    ax.set_xlim(-0.6, max(S, walk[-1][1] + block_k) + 0.6)
    ax.set_ylim(S - 0.4, -0.6)
    ax.set_xlabel("second key k", color=plots.KEY2_TEXT)
    ax.set_ylabel("first key j", color=plots.KEY1_TEXT)
    ax.set_aspect("equal")
    return fig


def rows_and_columns(S: int, w: int, query: int, key: int) -> Figure:
    """Which queries see which keys under a window: a query's sums run along its row, a key's along its column."""
    fig, ax = plt.subplots(figsize=(5.2, 4.4))
    n = np.arange(S)
    seen = (n[None] <= n[:, None]) & (n[None] > n[:, None] - w)
    for i, j in zip(*np.nonzero(seen), strict=True):
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="#E4E4E4", edgecolor="white", lw=1))
    columns, rows = np.nonzero(seen[query])[0], np.nonzero(seen[:, key])[0]
    ax.add_patch(Rectangle((columns[0] - 0.5, query - 0.5), len(columns), 1, fill=False, edgecolor="#0072B2", lw=2.2))
    ax.add_patch(Rectangle((key - 0.5, rows[0] - 0.5), 1, len(rows), fill=False, edgecolor="#D55E00", lw=2.2, ls="--"))
    ax.annotate(f"dq of query {query}", (columns[0] - 0.6, query), ha="right", va="center", color="#0072B2")
    ax.annotate(f"dk1, dv1 of key {key}", (key + 0.6, rows[0] - 0.6), ha="left", va="bottom", color=plots.KEY1_TEXT)
    ax.set_xlim(-0.6, S - 0.4)
    ax.set_ylim(S - 0.4, -0.6)
    ax.set_xlabel("first key j", color=plots.KEY1_TEXT)
    ax.set_ylabel("query i", color="#0072B2")
    ax.set_aspect("equal")
    return fig
