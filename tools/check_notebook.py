"""Rules for one stored notebook. Each yields ``(cell index or None, message)`` for what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from tools.markers import LOOSE, SPAN
from tools.notebooks import Source
from tools.widget_ids import widget_state

Found = Iterator[tuple[int | None, str]]
NOTEBOOK_BYTES = 1_000_000
MARKDOWN_WORDS = 120
CODE_LINES = 15
SHORT = 12
BINARY = ("image/png", "image/jpeg", "buffers")
IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
PATH = r"[^\s\"'<>)]*"
MACHINE = re.compile(rf"(?<![\w.~-])(/(home|Users|root|tmp|var/folders)/|[A-Z]:\\Users\\){PATH}|\bipykernel_\d+{PATH}")
WARNING = re.compile(r"\b\w*Warning\b")
PIN = re.compile(r"pip install\b[^\n]*==")
IMG = re.compile(r"<img\b[^>]*>", re.IGNORECASE | re.DOTALL)
ALT = re.compile(r"""\balt\s*=\s*(["'])\s*[^"'\s]""", re.IGNORECASE)
EMPTY_ALT = re.compile(r"!\[\s*\]\([^)]*\)")


def output_texts(notebook: NotebookNode) -> Iterator[tuple[int | None, str]]:
    """Every stored text but pictures, with its cell; the state of the widgets has none."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                yield index, output.text
            if output.output_type == "error":
                yield index, "\n".join([output.evalue, *output.traceback])
            yield from ((index, text) for text in _strings(output.get("data", {})))
    yield from ((None, text) for text in _strings(widget_state(notebook)))


def _strings(value) -> Iterator[str]:
    """The texts inside nested data, without pictures."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for key, part in value.items() if key not in BINARY for text in _strings(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in _strings(part))


def executed(notebook: NotebookNode) -> Found:
    """Each code cell ran once, from top to bottom."""
    expected = 1
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            if cell.execution_count != expected:
                yield index, f"execution count is {cell.execution_count}, expected {expected}"
            expected += 1


def no_errors(notebook: NotebookNode) -> Found:
    """No stored error, unless the cell says that it raises."""
    for index, cell in enumerate(notebook.cells):
        if "raises-exception" not in cell.metadata.get("tags", []):
            yield from ((index, f"stores an error: {out.ename}") for out in cell.get("outputs", []) if out.output_type == "error")


def no_machine_paths(notebook: NotebookNode, root: Path) -> Found:
    """Nothing that only makes sense on the machine that built it."""
    here = [re.compile(re.escape(f"{path}/") + PATH) for path in (root.resolve(), Path.home()) if len(path.parts) > 1]
    for index, text in output_texts(notebook):
        found = next(filter(None, (pattern.search(text) for pattern in (MACHINE, *here))), None)
        if found:
            yield index, f"stores a path of one machine: {found[0]}"


def no_warnings(notebook: NotebookNode) -> Found:
    """A warning on the page is noise: repair its cause."""
    for index, text in output_texts(notebook):
        found = WARNING.search(text)
        if found:
            yield index, f"stores the text {found[0]!r}"


def images_have_alt_text(notebook: NotebookNode) -> Found:
    """Someone who cannot see the picture gets a sentence instead."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and EMPTY_ALT.search(cell.source):
            yield index, "an image without alt text: write ![what it shows](...)"
        for output in cell.get("outputs", []):
            data, metadata = output.get("data", {}), output.get("metadata", {})
            for mime in set(IMAGES) & set(data):
                if not any(str(metadata.get(m, {}).get("alt", "")).strip() for m in IMAGES):
                    yield index, f'an {mime} output without alt text (metadata {{"{mime}": {{"alt": ...}}}})'
        html = [cell.source] if cell.cell_type == "markdown" else []
        html += [str(output["data"]["text/html"]) for output in cell.get("outputs", []) if "text/html" in output.get("data", {})]
        yield from ((index, f"an <img> without alt text: {tag[:60]}") for text in html for tag in IMG.findall(text) if not ALT.search(tag))


def small(text: str) -> Found:
    """GitHub shows it, and a clone stays quick."""
    size = len(text.encode())
    if size > NOTEBOOK_BYTES:
        yield None, f"{size / 1e6:.2f} MB, over the limit of {NOTEBOOK_BYTES / 1e6:g} MB"


def no_pins(notebook: NotebookNode) -> Found:
    """Versions are pinned in requirements.lock and nowhere else."""
    for index, cell in enumerate(notebook.cells):
        if PIN.search(cell.source):
            yield index, "pins a version: the lock file does that"


def short_markdown(notebook: NotebookNode) -> Found:
    """At most 120 words a cell; code, tables and cards (left out by the caller) are not counted."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            text = re.sub(r"^(```|~~~).*?^\1", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            text = re.sub(r"<!--.*?-->|^\s*\|.*$", "", text, flags=re.DOTALL | re.MULTILINE)
            words = len(re.findall(r"\S*\w\S*", text))
            if words > MARKDOWN_WORDS:
                yield index, f"{words} words, over the limit of {MARKDOWN_WORDS}: split the cell"


def short_code(notebook: NotebookNode) -> Found:
    """At most 15 lines a cell, blank lines and comments not counted."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            lines = sum(1 for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#"))
            if lines > CODE_LINES:
                yield index, f"{lines} lines of code, over the limit of {CODE_LINES}: move some into the package and show_source it"


def unsolved(exercise: NotebookNode, source: Source) -> Found:
    """No solution, no marker and no output in an exercise. Reads the source by itself, so that a slip in the stripping shows here."""
    secret, public = {"code": set(), "markdown": set()}, set()
    for cell in source.cells:
        inside = False
        for line in cell.text.splitlines():
            if LOOSE.search(line):
                inside = "BEGIN" in line
            elif inside or "solution" in cell.tags:
                secret.setdefault(cell.type, set()).add(line.strip())
            else:
                public.add(line.strip())
    for index, cell in enumerate(exercise.cells):
        if LOOSE.search(cell.source) or SPAN.search(cell.source) or "solution" in cell.metadata.get("tags", []):
            yield index, "a solution marker is left in the exercise"
        for line in {line.strip() for line in cell.source.splitlines()} & (secret[cell.cell_type] - public):
            if len(line) > SHORT:
                yield index, f"shows a line of the solution: {line}"
        if cell.get("outputs") or cell.get("execution_count"):
            yield index, "an exercise stores no outputs"
