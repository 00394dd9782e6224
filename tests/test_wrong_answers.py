"""Every solution passes, every stub is "not attempted", and every wrong answer fails on its rung with its diagnosis."""

import ast
import re
import time
from collections import Counter
from pathlib import Path

import jupytext
import pytest

from simplex_lab import checks
from simplex_lab.checks.spec import chapters, exercises

ROOT = Path(__file__).resolve().parent.parent
WRONG = sorted((ROOT / "tests" / "wrong").glob("*.py"))
ALL = {id: e for chapter in chapters() for id, e in exercises(chapter).items()}
SECONDS_WRONG, SECONDS_RIGHT = 2, 5


def header(path: Path) -> dict[str, str]:
    """``exercise``, ``rung`` and ``diagnosis`` from the docstring; its first line is what the learner believes."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return {"believes": doc.splitlines()[0]} | dict(re.findall(r"^(\w+): (.+)$", doc, flags=re.MULTILINE))


def define(source: str, entry: str, setup: dict | None = None):
    scope = dict(setup or {})
    exec(compile(source, "answer", "exec"), scope)
    return scope[entry]


def notebook_functions(notebook: Path) -> dict:
    """The functions as they are defined in a notebook's own cells; cells that only check are left out."""
    scope: dict = {}
    own: dict = {}
    for cell in jupytext.read(notebook).cells:
        if cell.cell_type == "code" and "check(" not in cell.source.replace("checkpoint(", ""):
            exec(compile(cell.source, "cell", "exec"), scope)
            code = {n: getattr(f, "__code__", None) for n, f in scope.items()}
            own |= {n: scope[n] for n, c in code.items() if c and c.co_filename == "cell"}
    return own


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.stem)
def test_a_wrong_answer_is_named(path):
    told = header(path)
    exercise = ALL[told["exercise"]]
    fn = define(path.read_text(encoding="utf-8"), exercise.entry)
    start = time.perf_counter()
    result = checks.run(exercise.id, fn)
    assert not result.passed
    assert (result.rung, result.diagnosis) == (told["rung"], told["diagnosis"]), (result.where, result.worst, result.says)
    assert time.perf_counter() - start < SECONDS_WRONG


@pytest.mark.parametrize("id", ALL)
def test_every_exercise_has_three_wrong_answers(id):
    count = Counter(header(p)["exercise"] for p in WRONG)
    assert count[id] >= 3


@pytest.mark.parametrize("id", ALL)
def test_every_known_mistake_has_a_wrong_answer(id):
    tested = {header(p)["diagnosis"] for p in WRONG if header(p)["exercise"] == id}
    assert {m.name for m in ALL[id].mistakes} <= tested


@pytest.mark.parametrize("chapter", chapters())
def test_every_solution_passes_and_every_stub_is_not_attempted(chapter):
    solution = notebook_functions(next((ROOT / "solutions" / "src").glob(f"{chapter}_*.py")))
    stub = notebook_functions(next((ROOT / "exercises").glob(f"{chapter}_*.ipynb")))
    for id, exercise in exercises(chapter).items():
        start = time.perf_counter()
        result = checks.run(id, solution[exercise.entry])
        assert result.passed, (id, result)
        assert time.perf_counter() - start < SECONDS_RIGHT
        told = checks.run(id, stub[exercise.entry])
        assert (told.passed, told.rung, told.diagnosis) == (False, "attempted", "not-attempted")


@pytest.mark.parametrize("id", ALL)
def test_another_seed_gives_the_same_verdict(id):
    """A pass is no accident of the inputs: what the parent of a grader draws anew passes too."""
    exercise = ALL[id]
    for seed in (1, 2, 3):
        assert checks.run(id, checks._own_answer(exercise), seed=seed).passed


@pytest.mark.parametrize("id", ["03.2", "03.4", "01.3"])
def test_wrong_answers_fail_under_another_seed(id):
    for path in WRONG:
        if (told := header(path))["exercise"] == id:
            fn = define(path.read_text(encoding="utf-8"), ALL[id].entry)
            assert checks.run(id, fn, seed=99).diagnosis == told["diagnosis"]
