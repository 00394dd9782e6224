"""A course folder for nbgrader, from the solutions: ``python -m tools.nbgrader_course FOLDER [03 ...]``.

Each chapter becomes an assignment with the cells of its exercise, answers still in their regions: nbgrader takes them out when it makes the
release. A check cell is worth one point. What grades it are hidden tests, which nbgrader takes out, too, and puts back when it grades.
nbgrader itself goes into the folder's own environment: it adds an extension to JupyterLab that learners should not get.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from nbformat import NotebookNode

from tools.build import chosen
from tools.markers import BEGIN, check_markers, exercise_cells
from tools.notebooks import (
    Expander,
    Source,
    SourceError,
    default_expander,
    dumps,
    make_notebook,
    read_source,
    source_names,
    write_if_changed,
)

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ".venv-nbgrader"
CHECK = re.compile(r'^check\("(\d\d\.\d)", (\w+)\)$', re.M)
STRICT = """\
### BEGIN HIDDEN TESTS
import os, secrets, sys
from simplex_lab.checks import run

os.environ["SIMPLEX_LAB_STRICT"] = "1"  # a check that fails raises
sys.stderr = sys.stdout  # to nbgrader a warning is a failure
### END HIDDEN TESTS
"""
AGAIN = """
### BEGIN HIDDEN TESTS
assert not {entry}.__module__.startswith("simplex_lab"), "{entry} is the course's own answer"
assert run("{id}", {entry}, seed=secrets.randbits(31)).passed, "{entry} is wrong for numbers that the check does not show"
### END HIDDEN TESTS"""
CONFIG = """\
import os
import secrets
import sys
from pathlib import Path

from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, DeduplicateIds, OverwriteCells, OverwriteKernelspec

from tools.nbgrader_course import recognise

c = get_config()
c.CourseDirectory.course_id = "simplex-lab"
c.CourseDirectory.root = str(Path(__file__).parent)
c.Autograde.sanitize_preprocessors = [ClearOutput, DeduplicateIds, recognise, OverwriteKernelspec, OverwriteCells, CheckCellMetadata]
c.Execute.timeout = 120  # seconds a cell may take
c.Execute.skip_cells_with_tag = secrets.token_hex()  # else a submission could have its checks skipped, and get their points
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic by name
os.environ["SIMPLEX_LAB_HOME"] = str(Path(__file__).parent / "progress")  # what submissions solve is not your own progress
"""


def assignment(source: Source, expand: Expander = default_expander) -> NotebookNode:
    """The notebook that nbgrader starts from: the exercise's cells, with the answers, marked."""
    check_markers(source)
    answered = {cell.line: cell for cell in source.cells}
    cells = [answered[cell.line] if cell.type == "code" else cell for cell in exercise_cells(source)]
    notebook, id = make_notebook(source, cells, expand), ""
    for cell in reversed(notebook.cells):  # the check stands below the answer, and says whose it is
        if cell.cell_type != "code":
            continue
        if found := CHECK.search(cell.source):
            id, entry = found.groups()
            cell.source = STRICT + cell.source + AGAIN.format(id=id, entry=entry)
            cell.metadata["nbgrader"] = _check(id)
        elif any(map(BEGIN.match, cell.source.splitlines())):
            cell.metadata["nbgrader"] = _mark("answer", id, solution=True)
    return notebook


def recognise(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
    """A preprocessor for submissions: mark the checks of a copy that is not of nbgrader's release, and forget marks that nbgrader emptied.

    It empties the mark of a cell that a learner copied, and would later stop all grading at it.
    """
    for cell in notebook.cells:
        if not cell.metadata.get("nbgrader", True):
            del cell.metadata["nbgrader"]
    seen = {cell.metadata["nbgrader"].get("grade_id") for cell in notebook.cells if "nbgrader" in cell.metadata}
    for cell in reversed(notebook.cells):  # the last of several counts, as with nbgrader's own marks
        found = CHECK.search(cell.source) if cell.cell_type == "code" and "nbgrader" not in cell.metadata else None
        if found and (mark := _check(found[1]))["grade_id"] not in seen:
            cell.metadata["nbgrader"] = mark
            seen.add(mark["grade_id"])
    return notebook, resources


def _check(id: str) -> dict:
    return _mark("check", id, grade=True, locked=True, points=1)


def _mark(kind: str, id: str, *, grade: bool = False, solution: bool = False, locked: bool = False, **points: int) -> dict:
    """What nbgrader keeps on a cell."""
    flags = {"grade": grade, "solution": solution, "locked": locked, "task": False}
    return {"schema_version": 3, "grade_id": f"{kind}_{id.replace('.', '_')}", **flags, **points}


def make(folder: Path, names: list[str], expand: Expander = default_expander, root: Path = ROOT) -> list[Path]:
    """Write the assignments, and the settings unless there are some. Returns the notebooks."""
    written = []
    for name in chosen([name for name in source_names(root) if name.startswith("solutions/")], names):
        source = read_source(root, name)
        written.append(folder / "source" / source.stem / f"{source.stem}.ipynb")
        write_if_changed(written[-1], dumps(assignment(source, expand)))
    if not (folder / "nbgrader_config.py").exists():
        (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    return written


def install(folder: Path) -> None:
    """nbgrader in an environment of the folder's own, which also sees the packages of this one; nothing is added here.

    Raises:
        subprocess.CalledProcessError: pip failed; ``stdout`` says why.
    """
    home = folder / ENVIRONMENT
    venv.create(home, symlinks=sys.platform != "win32")
    for data in ("share/jupyter", "etc/jupyter"):  # what packages keep there: JupyterLab's pages, nbconvert's templates, the kernel
        shutil.copytree(Path(sys.prefix) / data, home / data, dirs_exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--python", home, "install", "-q", "--no-deps", "-r", ROOT / "requirements-grading.lock"]
    subprocess.run(list(map(str, pip)), check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    packages = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(packages)]
    _last_step(folder).write_text("".join(lines), encoding="utf-8")


def _last_step(folder: Path) -> Path:
    """The file that lends the packages of this environment."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder / ENVIRONMENT)})) / "course.pth"


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write a course folder for nbgrader.")
    parser.add_argument("folder", type=Path, help="where; made if it is not there")
    parser.add_argument("names", nargs="*", help="03, or 03_topic; without names: all chapters")
    options = parser.parse_args(argv)
    try:
        for path in make(options.folder, options.names):
            print(path)
        if not _last_step(options.folder).exists():
            print(f"Installing nbgrader in {options.folder / ENVIRONMENT}", flush=True)
            install(options.folder)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"nbgrader could not be installed:\n{error.stdout}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
