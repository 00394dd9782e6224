"""Slides from the chapters: ``python -m tools.slides [--out .build/slides]``, one deck a chapter.

A cell with the tag ``slide`` begins a slide, one with the tag ``more`` goes below it. Text without a tag becomes the speaker's notes of the
slide before it (press S), code without a tag is left out. A slide of text keeps its heading, formulas, lists and tables and about its first
``WORDS`` words; the rest goes to the notes. A cell that draws or asks shows that and not its code, and so does one with much code.
"""

from __future__ import annotations

import argparse
import copy
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools.still import IMAGE, still

ROOT = Path(__file__).resolve().parent.parent
WORDS = 45
LINES, COLUMNS = 9, 92  # of code that a slide has room for
HEADING = re.compile(r"^##? .+$", re.MULTILINE)
CODE_OFF = "no-code"
SHOWS = re.compile(r"#|\$\$|[-*|>] ?|\d+\. |```|!\[")  # a paragraph that begins so is more than prose


def split(text: str, words: int = WORDS) -> tuple[str, str]:
    """``(what the slide shows, what is left to say)`` of a cell's text."""
    shown, said, room = [], [], words
    for paragraph in re.split(r"\n{2,}", text):
        count = len(re.findall(r"\S*\w\S*", paragraph))
        if SHOWS.match(paragraph):
            shown.append(paragraph)
        elif room == words or count <= room:
            shown.append(paragraph)
            room -= count
        else:
            said.append(paragraph)
            room = 0
    return "\n\n".join(shown), "\n\n".join(said)


def deck(notebook: NotebookNode) -> NotebookNode:
    """The notebook with a kind of slide for every cell, as nbconvert wants it."""
    notebook, cells, begun, head = still(copy.deepcopy(notebook)), [], False, ""
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown" and (found := HEADING.search(cell.source)):
            head = found[0]
        if cell.cell_type == "code" and "slide" in tags:  # says where it belongs
            cells.append(_kind(new_markdown_cell(head), "slide"))
            tags = {"more"}
        if tags & {"slide", "more"}:
            begun, rest = True, ""
            if cell.cell_type == "markdown":
                cell.source, rest = split(cell.source)
            cells.append(_kind(cell, "slide" if "slide" in tags else "-"))
            if rest:
                cells.append(_kind(new_markdown_cell(rest), "notes"))
        elif cell.cell_type == "markdown" and begun:
            cells.append(_kind(cell, "notes"))
    for cell in cells:
        if cell.cell_type == "code":
            _quiet(cell)
    notebook.cells = cells
    return notebook


def _quiet(cell: NotebookNode) -> None:
    """Leave out code that only draws, asks or prints at length, and what is printed beside a figure."""
    data = [output.get("data", {}) for output in cell.outputs]
    seen = any(IMAGE in d or "text/markdown" in d for d in data)
    lines = cell.source.splitlines()
    if seen or len(lines) > LINES or max(map(len, lines)) > COLUMNS:
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), CODE_OFF]
    if seen:
        cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]


def _kind(cell: NotebookNode, kind: str) -> NotebookNode:
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


def title(notebook: NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def build(out: Path, root: Path = ROOT) -> list[Path]:
    """Write every deck and what it needs; returns the decks."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shutil.copytree(_package("sphinx_revealjs") / "_static" / "revealjs", out / "reveal")
    mathjax = _package("sphinx-mathjax-offline") / "static" / "mathjax"
    shutil.copytree(mathjax, out / "mathjax", ignore=shutil.ignore_patterns("*mml*", "*svg*", "*speech*", "sre"))
    for name in ("slides.css", "favicon.svg"):
        shutil.copy(root / "site" / name, out)
    exporter = SlidesExporter(template_name="slides", extra_template_basedirs=[str(root / "site")], reveal_url_prefix="reveal")
    exporter.reveal_theme, exporter.exclude_input_prompt, exporter.exclude_output_prompt = "white", True, True
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={CODE_OFF}), enabled=True)
    decks = []
    for path in sorted((root / "chapters").glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        page, _ = exporter.from_notebook_node(deck(notebook), {"metadata": {"name": title(notebook)}})
        decks.append(out / f"{path.stem}.html")
        decks[-1].write_text(page, encoding="utf-8")
    return decks


def _package(name: str) -> Path:
    return Path(find_spec(name).submodule_search_locations[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / ".build" / "slides")
    args = parser.parse_args()
    decks = build(args.out)
    print(f"{len(decks)} decks: open {decks[0]}; S shows the notes, ?print-pdf at the end of the address prints")
    return 0


if __name__ == "__main__":
    sys.exit(main())
