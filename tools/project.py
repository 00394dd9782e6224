"""What imports what in this project, and the fingerprint that says whether a notebook is stale."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.notebooks import Source, SourceError

# Raise it when a change in tools/ changes what a build stores: every notebook is then stale.
BUILDER_VERSION = "1"
PACKAGES = {"simplex_lab": "simplex_lab", "simplex_kernels": "kernels/simplex_kernels"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
MODULE_NAME = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")
CSV = re.compile(r"[\w-]+\.csv\b")


@dataclass(frozen=True)
class Import:
    """One imported name. ``top``: it runs when the file is imported. ``named``: only a string that names a module of ours."""

    module: str
    line: int
    top: bool
    named: bool = False


def find_imports(tree: ast.Module, package: str) -> Iterator[Import]:
    """All imports of a file; ``from a import b`` gives both ``a`` and ``a.b``. ``package`` resolves the relative ones."""
    stack: list[tuple[ast.AST, bool]] = [(tree, True)]
    while stack:
        node, top = stack.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            yield Import(base, node.lineno, top)
            yield from (Import(f"{base}.{alias.name}", node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE_NAME.fullmatch(node.value):
            yield Import(node.value, node.lineno, False, named=True)
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            stack += [(child, top and not isinstance(node, FUNCTIONS)) for child in ast.iter_child_nodes(node)]


def parse(text: str, name: str) -> ast.Module:
    """The syntax tree of a module or of a notebook's source, where ``await`` may stand outside functions."""
    try:
        return compile(text, name, "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        raise SourceError(name, error.lineno or 1, f"not valid Python: {error.msg}") from error


class Project:
    """One state of the project's files: make a new one after they change."""

    def __init__(self, root: Path):
        self.root = root
        self._bytes: dict[Path, bytes] = {}
        self._imports: dict[Path, list[Import]] = {}

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def read(self, path: Path) -> bytes:
        if path not in self._bytes:
            self._bytes[path] = path.read_bytes().replace(b"\r\n", b"\n")
        return self._bytes[path]

    @cached_property
    def files(self) -> dict[str, Path]:
        """Each module of ours by its dotted name."""
        found = {}
        for package, folder in PACKAGES.items():
            for path in sorted((self.root / folder).rglob("*.py")):
                parts = path.relative_to(self.root / folder).with_suffix("").parts
                found[".".join((package, *parts)).removesuffix(".__init__")] = path
        return found

    def module(self, path: Path) -> str:
        return next(name for name, file in self.files.items() if file == path)

    def imports(self, path: Path) -> list[Import]:
        """The imports of one of our modules."""
        if path not in self._imports:
            module = self.module(path)
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            self._imports[path] = list(find_imports(parse(self.read(path).decode(), self.name(path)), package))
        return self._imports[path]

    def source_imports(self, source: Source) -> list[Import]:
        return list(find_imports(parse(source.text, source.name), ""))

    def resolve(self, module: str) -> list[Path]:
        """The files of ours that importing ``module`` runs: the packages above it, and itself."""
        parts = module.split(".")
        prefixes = (".".join(parts[: n + 1]) for n in range(len(parts)))
        return [self.files[prefix] for prefix in prefixes if prefix in self.files]

    def reached(self, imports: list[Import], number: str = "") -> list[Path]:
        """Every file of ours behind ``imports``, at any depth, with the files of chapter ``number`` in the folders that are reached."""
        found: list[Path] = []
        waiting = [path for entry in imports for path in self.resolve(entry.module)]
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found.append(path)
            waiting += [other for entry in self.imports(path) for other in self.resolve(entry.module)]
            waiting += [other for other in path.parent.glob("*.py") if number and _numbered(other, number)]
        return found

    def chain(self, start: list[Import], forbidden: tuple[str, ...]) -> list[str] | None:
        """How importing ``start`` comes to import a forbidden package: the modules on the way, or None."""
        waiting = [([entry.module], entry.module) for entry in start]
        seen: set[Path] = set()
        while waiting:
            way, module = waiting.pop(0)
            if module.split(".")[0] in forbidden:
                return way
            for path in self.resolve(module):
                if path not in seen:
                    seen.add(path)
                    here = self.module(path)
                    waiting += [([*way[:-1], here, entry.module], entry.module) for entry in self.imports(path) if entry.top]
        return None

    def inputs(self, source: Source) -> list[Path]:
        """Every file that a notebook's outputs depend on, but its source."""
        number = source.stem[:2] if source.stem[:2].isdigit() else ""
        imports = self.source_imports(source)
        if "<!-- card" in source.text:
            imports.append(Import("simplex_lab.checks", 1, False))
        paths = set(self.reached(imports, number))
        if number:
            everything = (self.root / "simplex_lab").rglob("*")
            paths |= {path for path in everything if path.suffix not in {".py", ".pyc"} and path.is_file() and _numbered(path, number)}
        recorded = (self.root / "results" / name for name in set(CSV.findall(source.text)))
        return sorted(paths | {path for path in recorded if path.exists()})

    def fingerprint(self, source: Source) -> str:
        """Changes when the source, the builder or any input does."""
        digest = hashlib.sha256(f"{BUILDER_VERSION}\n{source.name}\n".encode())
        digest.update(source.text.encode())
        for path in self.inputs(source):
            digest.update(f"\n{self.name(path)}\n".encode())
            digest.update(self.read(path))
        return digest.hexdigest()[:16]


def _numbered(path: Path, number: str) -> bool:
    """Whether the file belongs to chapter ``number`` by its name: ``quizzes/03.toml``, ``spec_03.py``."""
    return re.search(rf"(?<!\d){number}(?!\d)", path.stem) is not None
