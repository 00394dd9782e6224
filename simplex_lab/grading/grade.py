"""One submission, one row for each exercise of its chapter, whatever the submission does."""

from __future__ import annotations

import functools
import json
import multiprocessing
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from simplex_lab.checks.ladder import Climb
from simplex_lab.checks.spec import Exercise, chapters, exercises
from simplex_lab.grading.remote import WORDS, Remote, _words, answer_of
from simplex_lab.grading.sandbox import Limits, Sandbox, Stopped

LARGEST, LONGEST = 20 << 20, 2 << 20  # bytes of a notebook, and of its code
STATUS = ("passed", "failed", "not attempted", "missing", "stopped", "unreadable")


@dataclass(frozen=True)
class Row:
    """The grade of one exercise in one submission. ``says`` is for people; ``rung`` and ``diagnosis`` are names of the check."""

    submission: str
    exercise: str
    status: str
    rung: str = ""
    diagnosis: str = ""
    says: str = ""
    seconds: float = 0.0


@dataclass
class Notebook:
    """What the grader reads of a submission: its code cells, and the chapter that they belong to."""

    cells: list[str] = field(default_factory=list)
    chapter: str = ""
    trouble: str = ""


def grade(path: str | Path, limits: Limits = Limits(), *, chapter: str | None = None) -> list[Row]:  # noqa: B008
    """Run a submission in a sandbox and grade each exercise of its chapter; never raises for what a submission is or does.

    ``chapter`` is found from what the notebook defines and checks, not from its name, unless given.
    """
    name = str(path).encode("utf-8", "backslashreplace").decode()
    book = read(Path(path))
    book.chapter = chapter or book.chapter
    if book.trouble or book.chapter not in chapters():
        return [Row(name, "", "unreadable", says=book.trouble or "none of its cells belongs to an exercise")]
    left, rows = dict(exercises(book.chapter)), {}
    end = time.monotonic() + limits.seconds
    while left and (seconds := end - time.monotonic()) > 0:
        done = _attempt(name, book, left, replace(limits, seconds=seconds))
        rows |= done
        left = {id: e for id, e in left.items() if id not in done}
    for id in left:
        rows[id] = Row(name, id, "stopped", says=f"no time was left of {limits.seconds:g} s")
    return [rows[id] for id in exercises(book.chapter)]


def grade_all(paths: Sequence[str | Path], limits: Limits = Limits(), *, chapter: str | None = None, jobs: int = 1) -> list[Row]:  # noqa: B008
    """:func:`grade` for every notebook among ``paths`` and in folders among them, ``jobs`` at a time, in their order."""
    books = [book for path in map(Path, paths) for book in (_inside(path) if path.is_dir() else [path])]
    one = functools.partial(grade, limits=limits, chapter=chapter)
    if jobs == 1:
        return [row for book in books for row in one(book)]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [row for rows in pool.map(one, books) for row in rows]


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def read(path: Path) -> Notebook:
    """The code cells of a file, as text; nothing of it is run."""
    try:
        if not path.is_file():
            return Notebook(trouble="there is no such file")
        if path.stat().st_size > LARGEST:
            return Notebook(trouble=f"more than {LARGEST >> 20} MiB")
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = [c["source"] for c in found["cells"] if c["cell_type"] == "code"]
        cells = [c if isinstance(c, str) else "".join(c) for c in cells]
    except OSError as error:
        return Notebook(trouble=f"cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return Notebook(trouble="is no notebook: it cannot be parsed")
    text, votes = "\n".join(cells), Counter()
    if len(text) > LONGEST:
        return Notebook(trouble=f"more than {LONGEST >> 20} MiB of code")
    for chapter in chapters():
        for exercise in exercises(chapter).values():
            votes[chapter] += bool(re.search(rf"^\s*def {exercise.entry}\b", text, re.M)) + (f'"{exercise.id}"' in text)
    ((best, count),) = votes.most_common(1)
    return Notebook(cells, best if count else "")


def _attempt(name: str, book: Notebook, left: Mapping[str, Exercise], limits: Limits) -> dict[str, Row]:
    """Run the notebook once and grade until all is graded or the process is gone: at least one exercise comes out of it."""
    rows: dict[str, Row] = {}
    command = [sys.executable, "-P", "-m", "simplex_lab.grading.child"]
    with Sandbox(command, limits) as box:
        cell = 0
        try:
            entries = [e.entry for e in left.values()]
            box.send({"cells": book.cells, "entries": entries, "seconds": limits.cell_seconds})
            troubles = {}
            while "own" not in (told := answer_of(box, but=None)):
                cell = told.get("cell", cell)
                if told.get("trouble"):
                    troubles[cell] = _words(told["trouble"], WORDS["says"])
            own = set(told["own"])
        except Stopped as why:
            return {id: Row(name, id, "stopped", says=f"while cell {cell} ran: {why}") for id in left}
        except (TypeError, KeyError):
            return {id: Row(name, id, "stopped", says=f"while cell {cell} ran: it sent something that is no answer") for id in left}
        for id, exercise in left.items():
            if exercise.entry not in own:
                rows[id] = Row(name, id, "missing", says=_missing(exercise, book.cells, troubles))
        # all outputs are judged before the first function is checked in its own process, where the answers are from then on
        judged: dict[str, Row] = {}
        for step in (_judge, _hearsay):
            for id, exercise in left.items():
                if id in rows:
                    continue
                began = time.monotonic()
                try:
                    row = step(name, exercise, box) if step is _judge else step(judged[id], exercise, box)
                except Stopped as why:
                    rows[id] = Row(name, id, "stopped", says=f"while {exercise.entry} was checked: {why}")
                    return rows
                seconds = time.monotonic() - began + (judged[id].seconds if id in judged else 0.0)
                judged[id] = replace(row, seconds=round(seconds, 2))
                if step is _hearsay or not _needs_hearsay(row, exercise):
                    rows[id] = judged[id]
    return rows


def _judge(name: str, exercise: Exercise, box: Sandbox) -> Row:
    """The check of the course over the outputs that come back, with inputs that nobody has seen."""
    result = Climb(exercise, Remote(exercise, box), secrets.randbits(63)).run()
    status = "passed" if result.passed else "failed" if result.attempted else "not attempted"
    return Row(name, exercise.id, status, result.rung, result.diagnosis, _sentence(result.where, result.worst, result.says))


def _needs_hearsay(row: Row, exercise: Exercise) -> bool:
    """A right output may have been made in a wrong way; and why a kernel fails is seen where it runs."""
    return row.status == "passed" or (row.status == "failed" and exercise.kernel)


def _hearsay(row: Row, exercise: Exercise, box: Sandbox) -> Row:
    """What only the process itself sees: accesses of a kernel, inputs that are changed, tensors on the way. It never raises a grade."""
    told = Remote(exercise, box).check(secrets.randbits(63))
    if told.get("passed") is True:
        return row
    said = {what: _words(told.get(what), 400) for what in ("rung", "diagnosis", "where", "worst", "says")}
    return replace(
        row, status="failed", rung=said["rung"], diagnosis=said["diagnosis"], says=_sentence(*map(said.get, ("where", "worst", "says")))
    )


def _sentence(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _missing(exercise: Exercise, cells: list[str], troubles: Mapping[int, str]) -> str:
    """Why is there no function of that name?"""
    for n, source in enumerate(cells, 1):
        if re.search(rf"^\s*def {exercise.entry}\b", source, re.M):
            return f"`{exercise.entry}` is not defined: cell {n} failed, {troubles.get(n, 'and it says nothing')}"
    return f"no cell defines `{exercise.entry}`"
