"""Pictures of what a kernel touched: one panel a tensor, one cell an element. Pure functions from a launch to a figure."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from simplex_lab.access import Access, Launch, Region

WRAP = 16  # elements in a line of a long vector
CELL = 0.42  # inches, at the most
BEYOND = 6  # columns and lines that are drawn outside of a tensor at the most
TINTS = ("#E4E4E4", "#BDBDBD")
NOW = "#3A3A3A"
DONE = {"load": "loaded", "store": "stored", "atomic": "added to"}


def access_map(launch: Launch, only: tuple[str, ...] = ()) -> Figure:
    """Every element with the numbers of the programs that touched it; what lies outside of the tensor is crossed out."""
    numbers = {p: n for n, p in enumerate(dict.fromkeys(a.program for a in launch.accesses))}
    fig, panels = _panels(launch, only)
    for ax, region, points in panels:
        touched: dict[tuple[int, int], list[int]] = {}
        for a in launch.accesses:
            if a.name == region.name:
                for cell in _cells(region, a.offsets[a.active]):
                    touched.setdefault(cell, []).append(numbers[a.program])
        for cell, programs in touched.items():
            each = sorted(set(programs))
            text = ",".join(map(str, each)) if len(each) < 3 else f"{each[0]}..{each[-1]}"
            _cell(ax, cell, fill=TINTS[each[0] % 2], text=text, points=points, outside=not _is_in(region, cell))
        verbs = dict.fromkeys(DONE[a.op] for a in launch.accesses if a.name == region.name)
        ax.set_title(f"{region.name}, {' and '.join(verbs) or 'not touched'}", loc="left", fontsize=10)
    return fig


def access_step(launch: Launch, step: int) -> Figure:
    """Access number ``step`` (from 1): its lanes dark with their numbers, masked lanes dashed, what was touched before in grey."""
    fig, panels = _panels(launch)
    now = launch.accesses[step - 1]
    for ax, region, points in panels:
        for a in launch.accesses[: step - 1]:
            if a.name == region.name:
                for cell in _cells(region, a.offsets[a.active]):
                    _cell(ax, cell, fill=TINTS[0], outside=not _is_in(region, cell))
        if now.name == region.name:
            for lane, (cell, on) in enumerate(zip(_cells(region, now.offsets), now.active, strict=True)):
                if on:
                    _cell(ax, cell, fill=NOW, text=str(lane), colour="white", points=points, outside=not _is_in(region, cell))
                elif _drawn(region, cell):
                    _cell(ax, cell, text=str(lane), points=points, dashed=True)
        ax.set_title(region.name + (f", {now.op}" if now.name == region.name else ""), loc="left", fontsize=10)
    return fig


def told(launch: Launch, step: int) -> str:
    """The same step in words."""
    a: Access = launch.accesses[step - 1]
    off, out = int((~a.active).sum()), len(a.outside)
    verb = {"load": "loads", "store": "stores to", "atomic": "adds to"}[a.op]
    program = ", ".join(str(p) for p in a.program[: max(1, sum(n > 1 for n in launch.grid))])
    lanes = f"{len(a.active)} lane{'s' * (len(a.active) > 1)}, {off} masked off" + (f", {out} outside of the tensor" if out else "")
    return f"Step {step} of {len(launch.accesses)}: program {program} {verb} {a.name}, line {a.line}, {a.code}. {lanes}."


def _panels(launch: Launch, only: tuple[str, ...] = ()) -> tuple[Figure, list[tuple[Axes, Region, float]]]:
    """One panel for each tensor of the launch, with its empty cells, room for what lies outside, and the size of its text in points."""
    bounds, regions = {}, [region for region in launch.regions.values() if region.name in (only or launch.regions)]
    for region in regions:
        cells = [c for a in launch.accesses if a.name == region.name for c in _cells(region, a.offsets) if _drawn(region, c)]
        rows, columns = _size(region)
        r, c = zip(*cells, (0, 0), (rows - 1, columns - 1), strict=True)
        bounds[region.name] = min(r), max(r) + 1, min(c), max(c) + 1
    wide = [b[3] - b[2] for b in bounds.values()]
    tall = [b[1] - b[0] for b in bounds.values()]
    # vectors, a line or two each, stand below one another; matrices side by side
    if max(tall) <= 4 and max(wide) > 8:
        size = min(CELL, 7.6 / max(wide))
        shape = {"nrows": len(tall), "ncols": 1, "height_ratios": tall}
        figsize = size * max(wide) + 0.3, size * sum(tall) + 0.45 * len(tall)
    else:
        size = min(CELL, 7.4 / (sum(wide) + len(wide)))
        shape = {"nrows": 1, "ncols": len(wide), "width_ratios": wide}
        figsize = size * (sum(wide) + len(wide)) + 0.3, size * max(tall) + 0.6
    fig, axes = plt.subplots(figsize=(max(figsize[0], 3), figsize[1]), squeeze=False, **shape)
    panels = []
    for ax, region in zip(axes.flat, regions, strict=True):
        top, bottom, left, right = bounds[region.name]
        ax.set(xlim=(left - 0.1, right + 0.1), ylim=(bottom + 0.1, top - 0.1), aspect="equal", anchor="NW")
        ax.axis("off")
        for offset in region.elements:
            (cell,) = _cells(region, np.array([offset]))
            _cell(ax, cell)
        panels.append((ax, region, min(8, 30 * size)))
    return fig, panels


def _cell(ax: Axes, cell: tuple[int, int], fill="white", text="", colour="black", *, points=8.0, outside=False, dashed=False) -> None:
    row, column = cell
    x0, x1 = ax.get_xlim()
    y1, y0 = ax.get_ylim()
    if not (x0 <= column < x1 and y0 <= row < y1):
        return
    fill, style = "none" if dashed else "white" if outside else fill, (0, (1, 1)) if dashed or outside else "-"
    width, above = 1.2 if dashed else 0.6, 1 + (dashed or outside)
    ax.add_patch(Rectangle((column, row), 1, 1, facecolor=fill, edgecolor="black", lw=width, ls=style, zorder=above))
    if outside:
        ax.plot([column, column + 1], [row, row + 1], color="black", lw=1.2, zorder=4)
        ax.plot([column, column + 1], [row + 1, row], color="black", lw=1.2, zorder=4)
    elif text:
        ax.text(
            column + 0.5,
            row + 0.52,
            text,
            ha="center",
            va="center",
            color=colour,
            fontsize=points * (1 if len(text) < 4 else 0.75),
            zorder=3,
        )


def _size(region: Region) -> tuple[int, int]:
    if len(region.shape) < 2:
        n = int(np.prod(region.shape))
        return (1, n) if n <= 2 * WRAP else (-(-n // WRAP), WRAP)
    return int(np.prod(region.shape[:-1])), region.shape[-1]


def _pitch(region: Region) -> int:
    """Elements from one line of cells to the next."""
    if len(region.shape) < 2:
        return WRAP if int(np.prod(region.shape)) > 2 * WRAP else 0
    return region.strides[-2] if region.shape[-2] > 1 else max(region.shape[-1], 1)


def _cells(region: Region, offsets: np.ndarray) -> list[tuple[int, int]]:
    """Line and column of each offset; in a matrix, what lies behind its last element stands in further lines."""
    pitch = _pitch(region)
    if not pitch:
        return [(0, int(o)) for o in offsets]
    return [(int(o // pitch), int(o % pitch)) for o in offsets]


def _is_in(region: Region, cell: tuple[int, int]) -> bool:
    rows, columns = _size(region)
    n = int(np.prod(region.shape))
    return 0 <= cell[0] < rows and 0 <= cell[1] < columns and (len(region.shape) > 1 or cell[0] * _pitch(region) + cell[1] < n)


def _drawn(region: Region, cell: tuple[int, int]) -> bool:
    rows, columns = _size(region)
    return -BEYOND <= cell[0] < rows + BEYOND and -BEYOND <= cell[1] < columns + BEYOND
