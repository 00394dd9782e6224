"""The static site: ``python -m tools.site [--out .build/site]``.

Every page is a file of the course, at the path it has there, so that its links hold. Notebooks keep the outputs that they store, as far
as these can be read without a kernel (``still.py``). The slides lie beside the pages.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell
from sphinx.cmd.build import main as sphinx_build

import simplex_lab
from tools import run_links, slides
from tools.still import still

ROOT = Path(__file__).resolve().parent.parent
# code between backticks first, so that nothing in it is taken for a link; a link's label may hold such code
LINK = re.compile(r"`[^`\n]+`|(!?)\[((?:`[^`\n]*`|[^\]`])*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
# code that only shows something: a figure's is folded, a question's and a slider's left out
ONLY = re.compile(r"(show_figure\()|(?:\w+ = predict|quiz|\w+_explorer)\([^\n]*(?:\n[ )].*)*\Z")
FILES = {".png", ".pdf"}  # kinds of files that a page may hand out

BESIDE = '<a href="../slides/{name}.html">Slides</a> · <a href="../exercises/{name}.html">Exercise</a>'  # under a chapter's title

# heading of the contents, and what stands under it
SECTIONS = {
    "Chapters": ["chapters/[0-9]*.ipynb", "chapters/GLOSSARY.md"],
    "Exercises": ["exercises/[0-9]*.ipynb"],
    "For teachers": ["workshop/*.md", "workshop/notes/*.md"],
    "Kernels and experiments": ["kernels/README.md", "results/plan.md"],
}


def pages(root: Path = ROOT) -> dict[str, list[str]]:
    """``{heading: names from the root}`` of all pages but the first one."""
    return {head: [p.relative_to(root).as_posix() for g in globs for p in sorted(root.glob(g))] for head, globs in SECTIONS.items()}


class Links:
    """Where the links of the pages lead. A file of the course that is no page is handed out if it is a picture or a document; otherwise the
    link goes to the repository, or becomes plain text while that has no address."""

    def __init__(self, known: set[str], address: str):
        self.known, self.address, self.files = known, address, set()

    def of(self, text: str, name: str) -> str:
        """``text`` of the page ``name`` with its links as they should be on the site."""
        parts = FENCE.split(text)
        return "".join(part if i % 2 else LINK.sub(lambda found: self._one(found, name), part) for i, part in enumerate(parts))

    def _one(self, found: re.Match, name: str) -> str:
        picture, label, target = found.groups()
        if target is None:
            return found[0]
        wanted = (ROOT / name).parent.joinpath(target.partition("#")[0]).resolve()
        if not wanted.exists():
            raise SystemExit(f"{name}: a link to {target}, which does not exist")
        inside = wanted.relative_to(ROOT).as_posix()
        if inside in self.known:
            return found[0]
        if wanted.suffix in FILES:
            self.files.add(inside)
            return found[0]
        return f"{picture}[{label}]({self.address}/{inside})" if self.address else label


def lay_out(into: Path) -> None:
    """All that Sphinx reads, below ``into``."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(ROOT / "site", into)
    (into / "_static").mkdir()
    for name in ("style.css", "favicon.svg"):
        shutil.move(into / name, into / "_static")
    found, repository = pages(), run_links.repository()
    known = {name for names in found.values() for name in names}
    links = Links(known, f"{repository.address}/blob/{repository.branch}" if repository else "")
    for name in sorted(known):
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".ipynb"):
            notebook = still(nbformat.read(ROOT / name, as_version=4))
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = links.of(cell.source, name)
                elif shows := ONLY.match(cell.source):
                    cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input" if shows[1] else "remove-input"]
            if name.startswith("chapters/"):
                notebook.cells.insert(1, new_markdown_cell(BESIDE.format(name=Path(name).stem)))
            nbformat.write(notebook, into / name)
        else:
            (into / name).write_text(links.of((ROOT / name).read_text(encoding="utf-8"), name), encoding="utf-8")
    first = (into / "index.md").read_text(encoding="utf-8").replace("](../", "](")  # it moves up by a folder
    for mark, text in {
        "{{where}}": f" ([code]({repository.address}))" if repository else "",
        "{{map}}": the_map(),
        "{{contents}}": contents(found),
    }.items():
        first = first.replace(mark, text)
    (into / "index.md").write_text(links.of(first, "index.md"), encoding="utf-8")
    for name in links.files:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, into / name)
    facts = {
        "version": simplex_lab.__version__,
        "repository": repository and repository.address,
        "branch": repository and repository.branch,
    }
    (into / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def the_map() -> str:
    """The README's table of chapters, so that there is one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(r"## The map\n\n((?:\|.*\n)+)", text)[1].strip()


def contents(found: dict[str, list[str]]) -> str:
    """The trees of pages, hidden on the page and shown at its side."""
    return "\n\n".join("\n".join(["```{toctree}", ":hidden:", f":caption: {head}", "", *names, "```"]) for head, names in found.items())


def build(out: Path, work: Path) -> None:
    """Raises ``SystemExit`` if anything is amiss: a warning of Sphinx is an error here."""
    lay_out(work)
    shutil.rmtree(out, ignore_errors=True)
    if sphinx_build(["-q", "-W", "--keep-going", "-b", "html", "-d", str(work / ".doctrees"), str(work), str(out)]):
        raise SystemExit("the site was not built: see above")
    slides.build(out / "slides")


def written(out: Path) -> Iterator[Path]:
    """Every page of a built site."""
    return (p for p in sorted(out.rglob("*.html")) if p.name not in {"genindex.html"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / ".build" / "site")
    args = parser.parse_args()
    build(args.out.resolve(), ROOT / ".build" / "site-source")
    print(f"{sum(1 for _ in written(args.out))} pages: open {args.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
