"""From a py:percent source to a notebook: same text in, same bytes out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jupytext
from nbformat import NotebookNode, from_dict
from nbformat.v4 import reads_json, writes_json

FOLDERS = ("chapters", "solutions")
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
MARKER = re.compile(r"^\s*#\s*%%+(\s.*)?$")
CARD = re.compile(r"^\s*<!--\s*card\b(.*?)-->\s*$")
Expander = Callable[[str], str]


class SourceError(Exception):
    """Something in a source that a person has to repair; says in which file and on which line."""

    def __init__(self, name: str, line: int, message: str):
        super().__init__(f"{name}:{line}: {message}")


@dataclass(frozen=True)
class SourceCell:
    """One cell: its text as the notebook will show it, and the lines of the file it came from."""

    type: str
    text: str
    metadata: dict
    line: int
    raw: tuple[str, ...]

    @property
    def tags(self) -> list[str]:
        return list(self.metadata.get("tags", []))

    def numbered(self):
        """The lines of the file below the cell's marker, each with its number."""
        return enumerate(self.raw, start=self.line + 1)


@dataclass(frozen=True)
class Source:
    """A source file; ``name`` is its path from the root of the project, with forward slashes."""

    name: str
    text: str
    cells: tuple[SourceCell, ...]

    @property
    def folder(self) -> str:
        return self.name.split("/")[0]

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def notebook(self) -> str:
        return f"{self.folder}/{self.stem}.ipynb"


def read_source(root: Path, name: str) -> Source:
    """Read ``name`` and remember on which line each cell starts."""
    text = (root / name).read_text(encoding="utf-8")
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines, start=1) if MARKER.match(line)]
    cells = jupytext.reads(text, fmt="py:percent").cells
    if len(starts) != len(cells):
        first = starts[0] if starts else 1
        message = f"{len(starts)} cell markers but {len(cells)} cells: is there text above the first, or a marker in a string?"
        raise SourceError(name, first, message)
    ends = [start - 1 for start in starts[1:]] + [len(lines)]
    return Source(
        name,
        text,
        tuple(
            SourceCell(cell.cell_type, cell.source, _metadata(cell), start, tuple(lines[start:end]))
            for cell, start, end in zip(cells, starts, ends, strict=True)
        ),
    )


def _metadata(cell: NotebookNode) -> dict:
    """What the cell's marker says, without jupytext's memory of blank lines between cells."""
    return {key: value for key, value in cell.metadata.items() if key != "lines_to_next_cell"}


def source_names(root: Path) -> list[str]:
    """All sources of the project."""
    return [path.relative_to(root).as_posix() for folder in FOLDERS for path in sorted((root / folder / "src").glob("*.py"))]


def default_expander(card_id: str) -> str:
    """The card of an exercise, written from the same spec that its check uses."""
    from simplex_lab.checks import card

    return card(card_id)


def expand_cards(name: str, cell: SourceCell, expand: Expander) -> SourceCell:
    """Replace each line ``<!-- card 03.2 -->`` of a markdown cell by the card."""
    if cell.type != "markdown" or "<!-- card" not in cell.text:
        return cell
    line_of = {line.removeprefix("#").strip(): number for number, line in cell.numbered()}
    lines = []
    for text in cell.text.splitlines():
        found = CARD.match(text)
        if found:
            try:
                text = expand(found[1].strip()).strip("\n")
            except Exception as error:
                raise SourceError(name, line_of.get(text.strip(), cell.line), f"no card {found[1].strip()!r}: {error}") from error
        elif "<!-- card" in text:
            raise SourceError(name, line_of.get(text.strip(), cell.line), "a card directive must stand alone on its line")
        lines.append(text)
    return SourceCell(cell.type, "\n".join(lines), cell.metadata, cell.line, cell.raw)


def cell_ids(cells: list[SourceCell]) -> list[str]:
    """Ids that depend on the text alone; the n-th copy of a cell gets an id of its own."""
    ids: list[str] = []
    for cell in cells:
        occurrence = 0
        while True:
            text = f"{cell.type}\n{cell.text}\n{occurrence}"
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            if digest not in ids:
                break
            occurrence += 1
        ids.append(digest)
    return ids


def make_notebook(source: Source, cells: list[SourceCell], expand: Expander, fingerprint: str | None = None) -> NotebookNode:
    """A notebook without outputs. ``fingerprint`` is stored where outputs will depend on more than the source."""
    cells = [expand_cards(source.name, cell, expand) for cell in cells]
    built = []
    for cell, identifier in zip(cells, cell_ids(cells), strict=True):
        node = {"cell_type": cell.type, "id": identifier, "metadata": dict(cell.metadata), "source": cell.text}
        if cell.type == "code":
            node |= {"execution_count": None, "outputs": []}
        built.append(node)
    ours = {"source": source.name} | ({"hash": fingerprint} if fingerprint else {})
    metadata = {"kernelspec": dict(KERNELSPEC), "language_info": {"name": "python"}, "simplex_lab": ours}
    return from_dict({"cells": built, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def dumps(notebook: NotebookNode) -> str:
    """The one form in which notebooks are stored."""
    return writes_json(notebook, indent=1, sort_keys=True).rstrip("\n") + "\n"


def loads(text: str) -> NotebookNode:
    """Read a stored notebook, without the (slow) validation."""
    return reads_json(text)


def write_if_changed(path: Path, text: str) -> bool:
    """Write all of it or nothing, and leave an unchanged file alone."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".ipynb.part")
    scratch.write_text(text, encoding="utf-8", newline="\n")
    scratch.replace(path)
    return True
