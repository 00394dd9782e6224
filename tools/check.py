"""Everything that can be wrong with the stored notebooks without running one. Each finding is one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from tools import check_imports, check_links
from tools import check_notebook as rules
from tools.markers import check_markers, exercise_cells, solution_cells
from tools.notebooks import Expander, Source, SourceError, default_expander, dumps, loads, make_notebook, read_source, source_names
from tools.project import Project

REBUILD = "run 'make notebooks'"


def run(root: Path, expand: Expander = default_expander) -> list[str]:
    """All findings, in the order of the files."""
    project, sources, findings = Project(root), [], []
    for name in source_names(root):
        try:
            source = read_source(root, name)
            check_markers(source)
            project.source_imports(source)
            sources.append(source)
        except SourceError as error:
            findings.append(str(error))
    for source in sources:
        findings += _guarded(lambda source=source: check_source(project, source, expand))
    findings += without_partner(root)
    for rule in (check_imports.without_jupyter, check_imports.kernels_stand_alone):
        findings += _guarded(lambda rule=rule: rule(project))
    for rule in (check_imports.chapters_without_triton, check_imports.redefinitions):
        findings += _guarded(lambda rule=rule: rule(project, sources))
    return findings + list(check_links.broken_links(root)) + list(check_links.tree_size(root))


def _guarded(rule) -> list[str]:
    try:
        return list(rule())
    except SourceError as error:
        return [str(error)]


def without_partner(root: Path) -> Iterator[str]:
    """Each notebook has a source; the other way round is seen when the source is checked."""
    for folder in ("chapters", "solutions", "exercises"):
        for path in sorted((root / folder).glob("*.ipynb")):
            source = root / ("solutions" if folder == "exercises" else folder) / "src" / f"{path.stem}.py"
            if not source.exists():
                yield f"{folder}/{path.name}: has no source {source.relative_to(root).as_posix()}"


def check_source(project: Project, source: Source, expand: Expander) -> Iterator[str]:
    """The notebooks that one source gives, against what is stored."""
    cells = solution_cells(source) if source.folder == "solutions" else list(source.cells)
    yield from check_built(project, source, make_notebook(source, cells, expand, project.fingerprint(source)))
    short = make_notebook(source, cells, _no_card)
    yield from _places(source.notebook, source, short, rules.short_markdown(short))
    if source.folder == "chapters":
        yield from _places(source.notebook, source, short, rules.short_code(short))
    else:
        cells = exercise_cells(source)
        short = make_notebook(source, cells, _no_card)
        yield from check_exercise(project, source, make_notebook(source, cells, expand))
        yield from _places(f"exercises/{source.stem}.ipynb", source, short, rules.short_code(short))


def _no_card(card_id: str) -> str:
    return "<!-- -->"


def _places(name: str, source: Source, notebook: NotebookNode, found: rules.Found) -> Iterator[str]:
    """Say for each finding in which cell it is, and on which line of the source that cell starts."""
    for index, message in found:
        place = f"{name}: " if index is None else f"{name}: cell {index + 1}{cell_line(source, notebook.cells[index])}: "
        yield place + message


def cell_line(source: Source, cell: NotebookNode) -> str:
    """`` (chapters/src/03_x.py:88)`` for a cell whose text, or whose first lines, the source has."""
    head = cell.source.splitlines()[:1]
    for same in (lambda text: text == cell.source, lambda text: text.splitlines()[:1] == head):
        line = next((own.line for own in source.cells if own.type == cell.cell_type and same(own.text)), None)
        if line:
            return f" ({source.name}:{line})"
    return ""


def _load(root: Path, name: str) -> tuple[NotebookNode | None, str]:
    path = root / name
    if not path.exists():
        return None, f"{name}: is missing: {REBUILD}"
    text = path.read_text(encoding="utf-8")
    try:
        stored = loads(text)
        stored.cells, stored.metadata  # noqa: B018
    except (ValueError, AttributeError) as error:
        return None, f"{name}: is not a notebook: {error}"
    return stored, text


def check_built(project: Project, source: Source, expected: NotebookNode) -> Iterator[str]:
    """A notebook with outputs."""
    name = source.notebook
    stored, text = _load(project.root, name)
    if stored is None:
        yield text
        return
    found = [
        *same_inputs(stored, expected, text),
        *rules.executed(stored),
        *rules.no_errors(stored),
        *rules.no_machine_paths(stored, project.root),
        *rules.no_warnings(stored),
        *rules.images_have_alt_text(stored),
        *rules.small(text),
        *rules.no_pins(stored),
    ]
    yield from _places(name, source, stored, found)


def check_exercise(project: Project, source: Source, expected: NotebookNode) -> Iterator[str]:
    """A notebook with stubs."""
    name = f"exercises/{source.stem}.ipynb"
    stored, text = _load(project.root, name)
    if stored is None:
        yield text
        return
    found = [
        *same_inputs(stored, expected, text),
        *rules.unsolved(stored, source),
        *rules.images_have_alt_text(stored),
        *rules.small(text),
        *rules.no_pins(stored),
    ]
    yield from _places(name, source, stored, found)


def same_inputs(stored: NotebookNode, expected: NotebookNode, text: str) -> rules.Found:
    """What a person wrote is what the source says; only the first difference is told, since the others mostly follow from it."""
    if len(stored.cells) != len(expected.cells):
        yield None, f"has {len(stored.cells)} cells, its source gives {len(expected.cells)}: {REBUILD}"
        return
    for index, (ours, theirs) in enumerate(zip(stored.cells, expected.cells, strict=True)):
        for field in ("cell_type", "source", "metadata", "id"):
            if ours.get(field) != theirs.get(field):
                yield index, f"its {field} differs from what the source gives: {REBUILD}"
                return
    metadata = {key: value for key, value in stored.metadata.items() if key != "widgets"}
    if metadata.get("simplex_lab") != expected.metadata.get("simplex_lab"):
        yield None, f"is stale: the source, or a file it imports, changed since it was built: {REBUILD}"
    elif metadata != expected.metadata:
        yield None, f"its metadata differs from what the builder writes: {REBUILD}"
    elif dumps(stored) != text:
        yield None, f"is not stored in the builder's form: {REBUILD}"
