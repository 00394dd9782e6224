"""Build the notebooks: ``python tools/build.py [names] [--force] [-j 2]``, or only look at them: ``--check``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode, validate

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]

from tools import check  # noqa: E402
from tools.execute import CellFailed, execute  # noqa: E402
from tools.markers import check_markers, exercise_cells, solution_cells  # noqa: E402
from tools.notebooks import (  # noqa: E402
    Expander,
    Source,
    SourceError,
    default_expander,
    dumps,
    loads,
    make_notebook,
    read_source,
    source_names,
    write_if_changed,
)
from tools.project import Project  # noqa: E402

OPT_OUT = "nbval-ignore-output"
CELL_SECONDS = 120.0


@dataclass
class Job:
    """One notebook to execute, and the exercise that comes from the same source."""

    source: Source
    notebook: NotebookNode
    exercise: NotebookNode | None


def plan(root: Path, names: list[str], expand: Expander) -> list[Job]:
    """Read every chosen source before anything runs, so that a misplaced marker costs no waiting."""
    project, jobs = Project(root), []
    for name in chosen(source_names(root), names):
        source = read_source(root, name)
        check_markers(source)
        cells = solution_cells(source) if source.folder == "solutions" else list(source.cells)
        exercise = make_notebook(source, exercise_cells(source), expand) if source.folder == "solutions" else None
        jobs.append(Job(source, make_notebook(source, cells, expand, project.fingerprint(source)), exercise))
    return jobs


def chosen(sources: list[str], names: list[str]) -> list[str]:
    """Those that ``03``, ``03_trilinear``, ``chapters`` or a path to a source or a notebook names; all without names."""
    picked = set()
    for name in names:
        folder, _, stem = Path(name).with_suffix("").as_posix().replace("/src/", "/").rpartition("/")
        folder = {"exercises": "solutions"}.get(folder.split("/")[-1], folder.split("/")[-1])
        found = [s for s in sources if folder in ("", s.split("/")[0]) and (Path(s).stem.startswith(stem) or s.startswith(f"{stem}/"))]
        if not found:
            raise SystemExit(f"no source matches {name!r}; there are: {', '.join(sources) or 'none'}")
        picked |= set(found)
    return [source for source in sources if source in picked] if names else sources


def is_fresh(root: Path, job: Job) -> bool:
    """Whether the stored notebook has these inputs and was executed."""
    path = root / job.source.notebook
    if not path.exists():
        return False
    text = path.read_text(encoding="utf-8")
    try:
        stored = loads(text)
        return not [*check.same_inputs(stored, job.notebook, text), *check.rules.executed(stored)]
    except (ValueError, AttributeError, KeyError):
        return False


async def build(root: Path, jobs: list[Job], *, parallel: int, timeout: float) -> int:
    """Execute the jobs, a few at a time; after a failure nothing new is started. Returns how many failed."""
    gate, failed = asyncio.Semaphore(parallel), []

    async def one(job: Job) -> None:
        async with gate:
            if failed:
                return
            start, name = time.perf_counter(), job.source.notebook
            try:
                executed = await execute(job.notebook, root / job.source.folder, name, timeout)
                validate(executed)
                write_if_changed(root / name, dumps(executed))
                print(f"{name:44} built       {time.perf_counter() - start:6.1f} s", flush=True)
            except CellFailed as error:
                failed.append(name)
                print(f"{name:44} FAILED      {time.perf_counter() - start:6.1f} s\n\n{failure(job, error)}", flush=True)

    await asyncio.gather(*(one(job) for job in jobs))
    return len(failed)


def failure(job: Job, error: CellFailed) -> str:
    """Where it happened, what the cell says, and the traceback."""
    cell = job.notebook.cells[error.index]
    where = f"{job.source.notebook}: cell {error.index + 1}{check.cell_line(job.source, cell)} raised"
    return f"{where}\n\n" + "\n".join(f"    {line}" for line in cell.source.splitlines()) + f"\n\n{error}\n"


def opt_outs(jobs: list[Job]) -> list[str]:
    """Each cell whose output no test compares."""
    lines = []
    for job in jobs:
        for n, cell in enumerate(job.notebook.cells, start=1):
            if OPT_OUT in cell.metadata.get("tags", []):
                lines.append(f"  {job.source.notebook}: cell {n}{check.cell_line(job.source, cell)}: {cell.source.splitlines()[0]}")
    return [f"Cells whose output is not compared ({OPT_OUT}): {len(lines)}", *lines] if lines else []


def main(argv: list[str] | None = None, expand: Expander = default_expander) -> int:
    """The command line; the exit code is 1 for a finding, a wrong source or a cell that raised."""
    parser = argparse.ArgumentParser(description="Build the course's notebooks from their sources, or check them.")
    parser.add_argument("names", nargs="*", help="03, 03_topic, chapters, or a path; without names: all")
    parser.add_argument("--check", action="store_true", help="run nothing; fail if a stored notebook is not what it should be")
    parser.add_argument("--force", action="store_true", help="also build what is up to date")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="notebooks at once (2)")
    parser.add_argument("--timeout", type=float, default=CELL_SECONDS, help=f"seconds a cell may take ({CELL_SECONDS:g})")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    root = options.root.resolve()
    if options.check:
        start, findings = time.perf_counter(), check.run(root, expand)
        for finding in findings:
            print(finding)
        print(f"{len(findings)} findings in {len(source_names(root))} sources ({time.perf_counter() - start:.1f} s)")
        return 1 if findings else 0
    try:
        jobs = plan(root, options.names, expand)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    for job in jobs:
        if job.exercise:
            name = f"exercises/{job.source.stem}.ipynb"
            print(f"{name:44} {'written' if write_if_changed(root / name, dumps(job.exercise)) else 'unchanged'}")
    stale = [job for job in jobs if options.force or not is_fresh(root, job)]
    for job in jobs:
        if job not in stale:
            print(f"{job.source.notebook:44} up to date")
    failures = asyncio.run(build(root, stale, parallel=options.jobs, timeout=options.timeout))
    for line in opt_outs(jobs):
        print(line)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
