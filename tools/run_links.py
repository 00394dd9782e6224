"""Links that run the course in a browser: ``python -m tools.run_links [--check | --colab | --hub ADDRESS [NOTEBOOK]]``.

All of them follow from two keys of pyproject.toml, ``repository`` and ``branch`` of ``[tool.simplex-lab]``. While ``repository`` is unset
there are none. They stand between two marks in README.md and workshop/environments.md; the rest of those files is written by hand.
"""

from __future__ import annotations

import argparse
import operator
import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode

ROOT = Path(__file__).resolve().parent.parent
UNSET = "[address]"  # stands in texts for teachers until the course has an address
HUB = "https://hub.example.org"
FIRST = "chapters/00_start_here.ipynb"
LEFT_ALONE = {"torch", "triton", "ipykernel", "jupyterlab"}  # on Colab
MENU = "menu Runtime > Change runtime type"


@dataclass(frozen=True)
class Repository:
    """Where the course can be cloned from."""

    owner: str
    name: str
    branch: str = "main"

    @property
    def address(self) -> str:
        return f"https://github.com/{self.owner}/{self.name}"


def repository(root: Path = ROOT) -> Repository | None:
    """What pyproject.toml names, or None while it names nothing.

    Raises:
        ValueError: it names something else than a repository on GitHub.
    """
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {}).get("simplex-lab", {})
    if not (address := table.get("repository", "")):
        return None
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", address)
    if not found:
        raise ValueError(f"pyproject.toml: repository = {address!r} is not https://github.com/OWNER/NAME")
    return Repository(*found.groups(), table.get("branch", "main"))


def binder(repo: Repository | None, notebook: str) -> str:
    """Opens a notebook in JupyterLab on mybinder.org, which builds its machine from environment.yml."""
    if not repo:
        return ""
    return f"https://mybinder.org/v2/gh/{repo.owner}/{repo.name}/{quote(repo.branch)}?urlpath=lab/tree/{quote(notebook)}"


def colab(repo: Repository | None, notebook: str) -> str:
    """Opens a notebook on Colab, which brings the notebook alone: ``colab_cell`` brings the rest."""
    if not repo:
        return ""
    return f"https://colab.research.google.com/github/{repo.owner}/{repo.name}/blob/{quote(repo.branch)}/{quote(notebook)}"


def nbgitpuller(repo: Repository | None, hub: str, notebook: str) -> str:
    """Brings the course to the reader's folder on a JupyterHub with nbgitpuller, and opens a notebook there."""
    if not repo:
        return ""
    query = urlencode({"repo": repo.address, "branch": repo.branch, "urlpath": f"lab/tree/{repo.name}/{notebook}"})
    return f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{query}"


CELL = """\
# The course on Colab: run this cell first. Colab's torch and triton stay as they are.
import importlib, os, subprocess, sys
from pathlib import Path

course = Path.home() / "simplex-lab"
if not course.exists():
    subprocess.run(["git", "clone", "-q", "--branch", "{branch}", "{address}", course], check=True)
sys.path[:0] = [str(course), str(course / "kernels")]
os.chdir(course / "chapters")

from tools.run_links import advice, missing

pip = [sys.executable, "-m", "pip", "install", "-q"]
subprocess.run([*pip, "--no-deps", "-e", course], check=True)
if missing():
    subprocess.run([*pip, *missing()], check=True)
importlib.invalidate_caches()
print(advice())
"""


def colab_cell(address: str, branch: str = "main") -> str:
    """The text of the one cell that a notebook on Colab needs above its own. The address may also be a folder."""
    return CELL.format(address=address, branch=branch)


def missing(root: Path = ROOT) -> list[str]:
    """Packages that chapters import and that are not here. torch and triton are never among them, nor what Colab has its own of."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.match(r"[\w.-]+", line)[0] for line in project["dependencies"] + project["optional-dependencies"]["lab"]]
    return [name for name in names if name not in LEFT_ALONE and find_spec(name) is None]


def advice(root: Path = ROOT, found: Callable[[str], str] = version) -> str:
    """A line each for torch and triton: whether the course supports the version that is here, and what to do if not."""
    project, lines = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"], []
    for wanted in project["dependencies"]:
        name, bounds = re.match(r"([\w.-]+)([^;]*)", wanted).groups()
        if name not in ("torch", "triton"):
            continue
        try:
            here = found(name)
        except PackageNotFoundError:
            lines.append(f"{name} is missing. Chapters 00-06 and 11-13 need no triton; for 07-10 choose a GPU: {MENU}.")
            continue
        if inside(here, bounds):
            lines.append(f"{name} {here} is one that the course supports ({bounds.strip()}).")
        else:
            lines.append(
                f"{name} {here} is not one that the course supports ({bounds.strip()}). Chapters may still run.\n"
                f"If one does not, choose another runtime version: {MENU}. Do not install another torch here: it fetches gigabytes."
            )
    return "\n".join(lines)


def inside(here: str, bounds: str) -> bool:
    """Whether a version, its local tag aside, meets bounds like ``>=2.11,<2.16``."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.match(r"\d+(?:\.\d+)*", text)[0].split("."))

    met = {">=": operator.ge, "<": operator.lt}
    return all(met[sign](numbers(here), numbers(bound)) for sign, bound in re.findall(r"(>=|<)\s*([\d.]+)", bounds))


def cell_of(repo: Repository | None) -> str:
    """The cell for the course's own address."""
    return colab_cell(repo.address, repo.branch) if repo else colab_cell(UNSET)


def chapters(root: Path = ROOT) -> list[str]:
    """All chapters, by their paths."""
    return [path.relative_to(root).as_posix() for path in sorted((root / "chapters").glob("[0-9]*.ipynb"))]


def blocks(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """``{file: {name of the mark: what stands there}}``."""
    repo = repository(root)
    links, hub = "", ""
    if repo:
        row = {to.__name__: " · ".join(f"[{Path(name).name[:2]}]({to(repo, name)})" for name in chapters(root)) for to in (binder, colab)}
        links = (
            f"On Binder (no GPU, little memory): {row['binder']}\n\n"
            f"On Colab, with [one cell](workshop/environments.md#colab) before the first: {row['colab']}"
        )
        hub = f"```\n{nbgitpuller(repo, HUB, FIRST)}\n```"
    return {
        "README.md": {"run links": links},
        "workshop/environments.md": {"colab cell": f"```python\n{cell_of(repo)}```", "hub link": hub},
    }


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: made by tools/run_links.py -->", f"<!-- end of {name} -->"


def filled(text: str, named: dict[str, str]) -> str:
    """``text`` with each block between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    for name, block in named.items():
        begin, end = marks(name)
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the marks {begin} and {end} are missing")
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}" if block else f"{before}{begin}\n{end}{after}"
    return text


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not as it should be")
    parser.add_argument("--colab", action="store_true", help="print the cell for Colab")
    parser.add_argument("--hub", metavar="ADDRESS", help="print the nbgitpuller link for a JupyterHub")
    parser.add_argument("notebook", nargs="?", default=FIRST, help="what --hub opens (%(default)s)")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    repo = repository(args.root)
    if (args.colab or args.hub) and not repo:
        print("pyproject.toml names no repository yet: set it in [tool.simplex-lab]", file=sys.stderr)
    if args.colab:
        print(cell_of(repo), end="")
        return 0
    if args.hub:
        print(nbgitpuller(repo, args.hub, args.notebook))
        return 0 if repo else 1
    wrong = 0
    for name, named in blocks(args.root).items():
        path = args.root / name
        text = path.read_text(encoding="utf-8")
        try:
            wanted = filled(text, named)
        except ValueError as error:
            print(f"{name}: {error}")
            wrong += 1
            continue
        if wanted != text and args.check:
            print(f"{name}: is not as pyproject.toml says: run python -m tools.run_links")
            wrong += 1
        elif wanted != text:
            path.write_text(wanted, encoding="utf-8")
            print(f"{name}: written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
