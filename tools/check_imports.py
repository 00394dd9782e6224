"""Who may import whom, and which names a chapter may not define again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.notebooks import Source
from tools.project import Project, parse

WITHOUT_TRITON = {f"{n:02}" for n in (*range(7), *range(11, 14))}
WITHOUT_JUPYTER = ("checks", "bench", "train", "records")


def chapters_without_triton(project: Project, sources: list[Source]) -> Iterator[str]:
    """Chapters 00-06 and 11-13 run where Triton does not exist, and so must everything they import."""
    for source in sources:
        if source.stem[:2] in WITHOUT_TRITON:
            for entry in project.source_imports(source):
                way = None if entry.named else project.chain([entry], ("triton", "simplex_kernels"))
                if way:
                    yield f"{source.name}:{entry.line}: this chapter must run without Triton, but imports {' -> '.join(way)}"


def without_jupyter(project: Project) -> Iterator[str]:
    """Checks, benchmarks, training and records work in a terminal."""
    for module, path in project.files.items():
        if module.startswith(tuple(f"simplex_lab.{name}" for name in WITHOUT_JUPYTER)):
            for entry in project.imports(path):
                way = project.chain([entry], ("IPython", "ipywidgets")) if entry.top else None
                if way:
                    yield f"{project.name(path)}:{entry.line}: must import without Jupyter, but imports {' -> '.join(way)}"


def kernels_stand_alone(project: Project) -> Iterator[str]:
    """``simplex_kernels`` imports nothing of ours from outside, and no kernel file imports another (device functions may be shared)."""
    kernels = {module: path for module, path in project.files.items() if module.startswith("simplex_kernels")}
    with_jit = {module for module, path in kernels.items() if _has_kernel(project, path)}
    for module, path in kernels.items():
        for entry in project.imports(path):
            if entry.module.split(".")[0] == "simplex_lab" and not entry.named:
                yield f"{project.name(path)}:{entry.line}: simplex_kernels imports simplex_lab"
            if module in with_jit and entry.module in with_jit - {module} and not entry.named:
                yield f"{project.name(path)}:{entry.line}: a kernel file imports another ({entry.module})"


def _has_kernel(project: Project, path: Path) -> bool:
    functions = (n for n in ast.walk(parse(project.read(path).decode(), path.name)) if isinstance(n, ast.FunctionDef))
    kernels = (function for function in functions if function.name.endswith("kernel"))
    return any("jit" in ast.unparse(decorator) for function in kernels for decorator in function.decorator_list)


def redefinitions(project: Project, sources: list[Source]) -> Iterator[str]:
    """A chapter imports a function of the library and shows its source; it never has a second version."""
    public = {}
    for module, path in project.files.items():
        if module.startswith("simplex_lab"):
            public |= {name: module for name, _ in _definitions(parse(project.read(path).decode(), path.name)) if not name.startswith("_")}
    for source in sources:
        if source.folder == "chapters":
            for name, line in _definitions(parse(source.text, source.name)):
                if name in public:
                    yield f"{source.name}:{line}: defines {name}, which {public[name]} has: import it and show_source it"


def _definitions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
