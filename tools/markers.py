"""Solution markers: which are in their place, and what is left of a notebook without its solutions.

Code between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` becomes nbgrader's default stub, so that nbgrader and this file give a
learner the same notebook. Cells tagged ``solution`` stay out of the exercises. In markdown, ``<!-- solution -->...<!-- /solution -->``
is for solutions only and ``<!-- exercise -->...<!-- /exercise -->`` for exercises only.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tools.notebooks import Source, SourceCell, SourceError

STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
BEGIN = re.compile(r"^(\s*)### BEGIN SOLUTION\s*$")
END = re.compile(r"^\s*### END SOLUTION\s*$")
LOOSE = re.compile(r"\b(BEGIN|END) SOLUTION\b")
SPAN = re.compile(r"<!--\s*(/?)\s*(solution|exercise)\s*-->")


def check_markers(source: Source) -> None:
    """Raise for the first marker that is unbalanced, nested or out of place."""
    for cell in source.cells:
        _check_regions(source, cell)
        _check_spans(source, cell)


def _check_regions(source: Source, cell: SourceCell) -> None:
    opened = None
    for number, line in cell.numbered():
        if not LOOSE.search(line):
            continue
        if source.folder != "solutions" or cell.type != "code":
            raise SourceError(source.name, number, "solution markers belong in the code cells of solutions/src only")
        if BEGIN.match(line):
            if opened:
                raise SourceError(source.name, number, f"BEGIN SOLUTION inside the region that starts on line {opened}")
            opened = number
        elif END.match(line):
            if not opened:
                raise SourceError(source.name, number, "END SOLUTION without a BEGIN SOLUTION above it in this cell")
            opened = None
        else:
            raise SourceError(source.name, number, "a solution marker must stand alone on its line, as '### BEGIN SOLUTION'")
    if opened:
        raise SourceError(source.name, opened, "BEGIN SOLUTION has no END SOLUTION in its cell")


def _check_spans(source: Source, cell: SourceCell) -> None:
    opened = None
    for number, line in cell.numbered():
        for closing, kind in SPAN.findall(line):
            if source.folder != "solutions" or cell.type != "markdown":
                raise SourceError(source.name, number, f"<!-- {kind} --> belongs in the markdown cells of solutions/src only")
            if not closing and opened:
                raise SourceError(source.name, number, f"<!-- {kind} --> inside the span that starts on line {opened[1]}")
            if closing and (not opened or opened[0] != kind):
                raise SourceError(source.name, number, f"<!-- /{kind} --> closes nothing")
            opened = None if closing else (kind, number)
    if opened:
        raise SourceError(source.name, opened[1], f"<!-- {opened[0]} --> is not closed in its cell")


def strip_regions(text: str) -> str:
    """``text`` with each solution region replaced by the stub, at the marker's indentation."""
    lines, inside = [], False
    for line in text.splitlines():
        begin = BEGIN.match(line)
        if begin:
            lines += [begin[1] + stub for stub in STUB]
            inside = True
        elif END.match(line):
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def keep_spans(text: str, kind: str) -> str:
    """``text`` with the spans of this kind unwrapped and those of the other kind removed."""
    if not SPAN.search(text):
        return text
    other = "exercise" if kind == "solution" else "solution"
    text = re.sub(rf"<!--\s*{other}\s*-->.*?<!--\s*/\s*{other}\s*-->", "", text, flags=re.DOTALL)
    text = SPAN.sub("", text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip("\n")


def solution_cells(source: Source) -> list[SourceCell]:
    """What a teacher sees: everything."""
    return [cell for cell in _spans(source, "solution") if cell.text.strip() or cell.type == "code"]


def exercise_cells(source: Source) -> list[SourceCell]:
    """What a learner gets: no solutions."""
    cells = [replace(cell, text=strip_regions(cell.text)) if cell.type == "code" else cell for cell in _spans(source, "exercise")]
    return [cell for cell in cells if "solution" not in cell.tags and (cell.text.strip() or cell.type == "code")]


def _spans(source: Source, kind: str) -> list[SourceCell]:
    return [replace(cell, text=keep_spans(cell.text, kind)) if cell.type == "markdown" else cell for cell in source.cells]
