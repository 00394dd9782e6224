"""Every solution passes, every stub is "not attempted", and every wrong answer fails on its rung with its diagnosis."""

import ast
import linecache
import re
import time
from collections import Counter
from pathlib import Path

import jupytext
import pytest

from simplex_lab import checks, tracer
from simplex_lab.checks import report
from simplex_lab.checks.spec import chapters, exercises

ROOT = Path(__file__).resolve().parent.parent
WRONG = sorted((ROOT / "tests" / "wrong").glob("*.py"))
ALL = {id: e for chapter in chapters() for id, e in exercises(chapter).items()}
SECONDS_WRONG, SECONDS_RIGHT = 2, 5  # of this process: what else a machine runs does not count
YARDSTICK = 0.03  # seconds that a million additions take on the machine these are meant for


class Stopwatch:
    """Seconds of this process, in units of what the machine can do at the moment: on a shared one that changes by a factor of two."""

    def __init__(self):
        self.slow, self.start = slower(), time.process_time()

    def read(self) -> float:
        taken = time.process_time() - self.start
        return taken / max(self.slow, slower())


def slower() -> float:
    """How many times as long as meant plain Python takes now, which Triton's interpreter is made of; at least 1."""
    start, total = time.process_time(), 0
    for n in range(1_000_000):
        total += n
    return max(1.0, (time.process_time() - start) / YARDSTICK)


def header(path: Path) -> dict[str, str]:
    """``exercise``, ``rung`` and ``diagnosis`` from the docstring; its first line is what the learner believes."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return {"believes": doc.splitlines()[0]} | dict(re.findall(r"^(\w+): (.+)$", doc, flags=re.MULTILINE))


def define(path: Path, entry: str):
    """The function of a file; Triton wants to read a kernel's source where the code says it is."""
    scope = {"__name__": "answer"}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), scope)
    return scope[entry]


def notebook_functions(notebook: Path) -> dict:
    """The functions as they are defined in a notebook's own cells; cells that only check are left out."""
    scope: dict = {"__name__": "notebook"}
    own: dict = {}
    for number, cell in enumerate(jupytext.read(notebook).cells):
        if cell.cell_type == "code" and "check(" not in cell.source.replace("checkpoint(", ""):
            name = f"cell {number} of {notebook}"
            linecache.cache[name] = (len(cell.source), None, cell.source.splitlines(keepends=True), name)
            exec(compile(cell.source, name, "exec"), scope)
            code = {n: getattr(f, "__code__", None) for n, f in scope.items()}
            own |= {n: scope[n] for n, c in code.items() if c and c.co_filename == name}
    return own


def solutions(chapter: str) -> dict:
    return notebook_functions(next((ROOT / "solutions" / "src").glob(f"{chapter}_*.py")))


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.stem)
def test_a_wrong_answer_is_named(path):
    told = header(path)
    exercise = ALL[told["exercise"]]
    fn = define(path, exercise.entry)
    watch = Stopwatch()
    result = checks.run(exercise.id, fn)
    taken = watch.read()
    assert not result.passed
    assert (result.rung, result.diagnosis) == (told["rung"], told["diagnosis"]), (result.where, result.worst, result.says)
    if taken >= SECONDS_WRONG:  # a shared machine stumbles now and then: too slow is what is too slow twice
        watch = Stopwatch()
        checks.run(exercise.id, fn)
        taken = watch.read()
    assert taken < SECONDS_WRONG
    assert report.as_text(result, 3).count("\n") >= 2


@pytest.mark.parametrize("id", ALL)
def test_every_exercise_has_three_wrong_answers_and_a_kernel_five(id):
    count = Counter(header(p)["exercise"] for p in WRONG)
    assert count[id] >= (5 if ALL[id].kernel else 3)


@pytest.mark.parametrize("id", [id for id, e in ALL.items() if e.kernel])
def test_an_answer_without_a_kernel_of_its_own_is_refused(id):
    told = [header(p)["diagnosis"] for p in WRONG if header(p)["exercise"] == id]
    assert "no-kernel" in told
    result = checks.run(id, checks._own_answer(ALL[id]))
    assert (result.rung, result.diagnosis) == ("access", "no-kernel")


@pytest.mark.parametrize("id", ALL)
def test_every_known_mistake_has_a_wrong_answer(id):
    tested = {header(p)["diagnosis"] for p in WRONG if header(p)["exercise"] == id}
    assert {m.name for m in ALL[id].mistakes} <= tested


@pytest.mark.parametrize("chapter", chapters())
def test_every_solution_passes_and_every_stub_is_not_attempted(chapter):
    solution = solutions(chapter)
    stub = notebook_functions(next((ROOT / "exercises").glob(f"{chapter}_*.ipynb")))
    for id, exercise in exercises(chapter).items():
        watch = Stopwatch()
        result = checks.run(id, solution[exercise.entry])
        assert result.passed, (id, result)
        assert watch.read() < SECONDS_RIGHT
        told = checks.run(id, stub[exercise.entry])
        assert (told.passed, told.rung, told.diagnosis) == (False, "attempted", "not-attempted")


@pytest.mark.parametrize("id", ALL)
def test_another_seed_gives_the_same_verdict(id):
    """A pass is no accident of the inputs: what the parent of a grader draws anew passes too."""
    exercise = ALL[id]
    answer = solutions(id[:2])[exercise.entry] if exercise.kernel else checks._own_answer(exercise)
    for seed in (1, 2, 3):
        assert checks.run(id, answer, seed=seed).passed


@pytest.mark.parametrize("id", ["03.2", "03.4", "01.3", "07.3"])
def test_wrong_answers_fail_under_another_seed(id):
    for path in WRONG:
        if (told := header(path))["exercise"] == id:
            fn = define(path, ALL[id].entry)
            assert checks.run(id, fn, seed=99).diagnosis == told["diagnosis"]


WITHOUT = "this version of Triton has another create_dot"


@pytest.mark.parametrize("id", ["07.1", "07.3", "08.2", "09.1"])
def test_where_kernels_cannot_be_watched_their_numbers_are_still_judged(id, monkeypatch):
    """A newer Triton may lock the tracer out. Then a right kernel passes and says what was not judged; numbers are told as ever."""
    monkeypatch.setattr(tracer, "missing", lambda: WITHOUT)
    exercise = ALL[id]
    passed = checks.run(id, solutions(id[:2])[exercise.entry])
    assert passed.passed
    assert f"memory accesses were not judged: {WITHOUT}" in passed.notes
    assert checks.run(id, checks._own_answer(exercise)).diagnosis == "no-kernel"
    by_numbers = [p for p in WRONG if header(p)["exercise"] == id and header(p)["rung"] in ("hand", "random")]
    assert by_numbers
    for path in by_numbers:
        told = header(path)
        assert checks.run(id, define(path, exercise.entry)).diagnosis == told["diagnosis"]
