"""Pytest plugin: an nbval run ends with what broke: the notebook, the cell and the difference, short enough for the end of a CI log."""

from __future__ import annotations

import difflib
import os
import re

import pytest

from tools.notebooks import SourceError, read_source

LINES = 28
IN_FULL = 2
ANSI = re.compile(r"\x1b\[[0-9;]*m")
KEY = "broken_cell"
STORED = "stored in the notebook"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In the process that ran the cell: remember what is needed to tell about it."""
    report = yield
    if hasattr(item, "cell_num") and report.failed:
        report.user_properties.append((KEY, describe(item, call.excinfo.value)))
    return report


def describe(item, error: BaseException) -> dict:
    """Plain data, since it travels from the worker to the process that prints."""
    cells = item.parent.nb.cells
    index = next(n for n, cell in enumerate(cells) if cell is item.cell)
    traceback = getattr(error, "inner_traceback", None) or ""
    detail = difference(item) if "differ" in str(error) else [line for line in ANSI.sub("", traceback).splitlines() if line.strip()]
    return {
        "notebook": os.path.relpath(item.path, item.config.rootpath),
        "cell": index + 1,
        "nbval": item.name,
        "line": source_line(item, index),
        "what": str(error).splitlines()[0] if str(error) else type(error).__name__,
        "source": item.cell.source.splitlines(),
        "detail": detail,
    }


def source_line(item, index: int) -> str:
    """``chapters/src/03_x.py:88``, if the notebook is where its source can be found."""
    name = item.parent.nb.metadata.get("simplex_lab", {}).get("source")
    root = item.parent.path.parent.parent
    if not name or not (root / name).exists():
        return ""
    try:
        cells = read_source(root, name).cells
    except SourceError:
        return ""
    line = next((cell.line for cell in cells if cell.text == item.cell.source), None)
    return f"{name}:{line}" if line else name


def difference(item) -> list[str]:
    """Stored against computed, after the sanitize file; pictures are not compared."""
    stored, computed = (as_lines(item, outputs) for outputs in (item.cell.outputs, item.test_outputs or []))
    found = list(difflib.unified_diff(stored, computed, STORED, "computed now", n=1, lineterm=""))
    return [line for line in found if not line.startswith("@@")]


def as_lines(item, outputs) -> list[str]:
    """What nbval compares, as text: streams, and the formats of each value."""
    lines = []
    for output in outputs:
        if output["output_type"] == "stream":
            lines += [f"[{output['name']}]", *item.sanitize(output["text"]).splitlines()]
        elif output["output_type"] == "error":
            lines += [f"[{output['ename']}]", *output["evalue"].splitlines()]
        for kind, value in output.get("data", {}).items():
            if kind not in item.parent.skip_compare:
                lines += [f"[{kind}]", *item.sanitize(str(value)).splitlines()]
    return lines


def pytest_configure(config):
    """Only the process that prints collects; xdist hands it the reports of its workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(BrokenCells(config))


class BrokenCells:
    """Gathers what the reports say and prints it at the very end."""

    def __init__(self, config):
        self.config, self.found = config, []

    def pytest_runtest_logreport(self, report):
        """One finished cell."""
        self.found += [value for key, value in report.user_properties if key == KEY]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self):
        """After everything that pytest prints itself."""
        result = yield
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.found and terminal:
            terminal.write_line("")
            for line in summary(self.found):
                terminal.write_line(line)
        return result


def summary(found: list[dict]) -> list[str]:
    """The first broken cell of each notebook in full (of two of them), the others by their numbers."""
    by_notebook: dict[str, list[dict]] = {}
    for cell in sorted(found, key=lambda cell: (cell["notebook"], cell["cell"])):
        by_notebook.setdefault(cell["notebook"], []).append(cell)
    others = [
        f"also broken: {notebook}: cells {listed([c['cell'] for c in rest])}"
        for n, (notebook, cells) in enumerate(by_notebook.items())
        if (rest := cells[1:] if n < IN_FULL else cells)
    ]
    others = others[:3] + ([f"... and {len(others) - 3} more notebooks"] if len(others) > 3 else [])
    firsts = [cells[0] for cells in by_notebook.values()][:IN_FULL]
    room = (LINES - len(others) - 1) // len(firsts)
    blocks = [line[:200] for cell in firsts for line in block(cell, room)]
    return [f"Broken notebook cells: {len(found)}, in notebooks: {len(by_notebook)}", *others, *blocks]


def listed(numbers: list[int]) -> str:
    """A few numbers as they are, many by the first, the last and how many."""
    return ", ".join(str(n) for n in numbers) if len(numbers) <= 8 else f"{numbers[0]} to {numbers[-1]} ({len(numbers)} of them)"


def block(cell: dict, room: int) -> list[str]:
    """One cell in at most ``room`` lines."""
    place = ", ".join(part for part in (cell["nbval"], cell["line"]) if part)
    head = [f"BROKEN {cell['notebook']}: cell {cell['cell']} ({place}): {cell['what']}"]
    source = [f"  | {line}" for line in cut(cell["source"], 4, keep_end=False)]
    is_diff = cell["detail"][:1] == [f"--- {STORED}"]
    detail = [f"    {line}" for line in cut(cell["detail"], room - len(source) - 1, keep_end=not is_diff)]
    return head + source + detail


def cut(lines: list[str], room: int, *, keep_end: bool) -> list[str]:
    """At most ``room`` lines, from the end of a traceback and from the start of anything else."""
    if len(lines) <= room:
        return lines
    return ["...", *lines[len(lines) - room + 1 :]] if keep_end else [*lines[: room - 1], "..."]
