"""Links inside the project: does the file exist, and does it have the heading?"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tools.notebooks import loads

TREE_BYTES = 40_000_000
FENCE = re.compile(r"^(\s*)(```+|~~~+).*?^\s*\2", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINKS = (
    re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'(][^)]*)?\s*\)"),
    re.compile(r"^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE),
    re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE),
)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
ANCHOR = re.compile(r"<\w+[^>]*?\b(?:id|name)\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
LINE_ANCHOR = re.compile(r"L(\d+)(?:-L(\d+))?")


def tracked_files(root: Path) -> list[Path]:
    """The files git knows, or all that are not hidden where there is no repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.split("\0") if name]
    else:
        names = [path.relative_to(root).parts for path in root.rglob("*")]  # wheels: an unpacked bundle
        paths = [root.joinpath(*parts) for parts in names if parts[0] != "wheels" and not any(part.startswith(".") for part in parts)]
    return sorted(path for path in paths if path.is_file())


def tree_size(root: Path) -> Iterator[str]:
    """The whole tree stays small enough to clone on a bad line."""
    total = sum(path.stat().st_size for path in tracked_files(root))
    if total > TREE_BYTES:
        yield f"the tree holds {total / 1e6:.1f} MB, over the limit of {TREE_BYTES / 1e6:g} MB"


def documents(root: Path) -> list[Path]:
    """Where links are looked for: all Markdown files, and the notebooks."""
    notebooks = {path for folder in ("chapters", "exercises", "solutions") for path in (root / folder).glob("*.ipynb")}
    return sorted(notebooks | {path for path in tracked_files(root) if path.suffix == ".md"})


@cache
def _pieces(path: Path, stamp: int) -> list[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return [("", text)]
    try:
        cells = loads(text).cells
    except (ValueError, AttributeError):
        return []  # said where the notebook is compared with its source
    return [(f"cell {n}", cell.source) for n, cell in enumerate(cells, start=1) if cell.cell_type == "markdown"]


def pieces(path: Path) -> list[tuple[str, str]]:
    """The Markdown of a file, in one piece or cell by cell."""
    return _pieces(path, path.stat().st_mtime_ns)


def anchors(path: Path) -> set[str]:
    """What ``#...`` may name in a document: headings as GitHub and as JupyterLab spell them, and explicit ids."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for _, text in pieces(path):
        prose = FENCE.sub("", text)
        found |= set(ANCHOR.findall(prose))
        for heading in HEADING.findall(prose):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            found |= {f"{slug}-{seen[slug]}" if seen[slug] else slug, re.sub(r"[`*]", "", plain).replace(" ", "-")}
            seen[slug] += 1
    return found


def why_broken(root: Path, path: Path, link: str) -> str | None:
    """What is wrong with a link, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:|//", link, re.IGNORECASE):
        return None
    target, _, anchor = unquote(link).partition("#")
    file = (path.parent / target).resolve() if target else path.resolve()
    if target.startswith("/") or not file.is_relative_to(root.resolve()):
        return "leaves the project"
    if not file.exists():
        return "no such file"
    if anchor and file.suffix in {".md", ".ipynb"}:
        return None if anchor in anchors(file) else f"no heading #{anchor}"
    lines = LINE_ANCHOR.fullmatch(anchor)
    if lines and max(int(n) for n in lines.groups() if n) > len(file.read_text(encoding="utf-8").splitlines()):
        return "no such line"
    return None


def broken_links(root: Path) -> Iterator[str]:
    """One line for each broken link, with the line of a Markdown file or the cell of a notebook."""
    for path in documents(root):
        name = path.relative_to(root).as_posix()
        for where, text in pieces(path):
            prose = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
            prose = CODE.sub(lambda found: " " * len(found[0]), prose)
            for match in (match for pattern in LINKS for match in pattern.finditer(prose)):
                reason = why_broken(root, path, match[1])
                if reason:
                    place = f"{name}: {where}" if where else f"{name}:{prose[: match.start(1)].count(chr(10)) + 1}"
                    yield f"{place}: broken link {match[1]!r}: {reason}"
