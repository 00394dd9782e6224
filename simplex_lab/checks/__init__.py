"""Checks that answer back. In a notebook::

    from simplex_lab import checks
    checks.check("03.2", joint_softmax)
    checks.hint("03.2")
    joint_softmax = checks.checkpoint("03.2", joint_softmax)

``SIMPLEX_LAB_STRICT=1`` makes a failed check raise :class:`CheckFailed`, for CI and grading.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable

from simplex_lab.checks import progress, report
from simplex_lab.checks.card import card
from simplex_lab.checks.ladder import Climb, Result
from simplex_lab.checks.spec import Exercise, UnknownExercise, find

__all__ = ["CheckFailed", "Result", "UnknownExercise", "card", "check", "checkpoint", "find", "hint", "run"]


class CheckFailed(AssertionError):
    """A check failed in strict mode; the message is the report."""


def run(id: str, fn: Callable, *, seed: int | None = None) -> Result:
    """Climb the ladder and return the result, without showing or remembering anything.

    Raises:
        UnknownExercise: no exercise of that id; the message suggests the nearest.
    """
    exercise = find(id)
    if not callable(fn):
        what = f"`{exercise.entry}` is a {type(fn).__name__}, expected a function"
        says = what + (": pass the function itself, without calling it" if fn is not None else ": run the cell that defines it")
        return Result(exercise, rung="runs", diagnosis="not-a-function", says=says, asks=f'check("{exercise.id}", {exercise.entry})')
    return (Climb(exercise, fn) if seed is None else Climb(exercise, fn, seed)).run()


def check(id: str, fn: Callable) -> None:
    """Check ``fn`` against exercise ``id``, show the report and remember the outcome."""
    try:
        result = run(id, fn)
    except UnknownExercise as unknown:
        if _strict():
            raise
        print(unknown)
        return
    progress.note(result.exercise.id, passed=result.passed, attempted=result.attempted, rung=result.rung, device=result.device)
    left = len(result.exercise.hints) - progress.hints_used(result.exercise.id)
    text = report.as_text(result, left)
    if _strict() and not result.passed:
        raise CheckFailed("\n" + text)
    _display(text, report.as_html(result, left))


def hint(id: str) -> None:
    """Show the next hint: the idea, then pseudocode, then nearly the code."""
    try:
        exercise = find(id)
    except UnknownExercise as unknown:
        print(unknown)
        return
    used = min(progress.hints_used(exercise.id), len(exercise.hints) - 1)
    text = textwrap.dedent(exercise.hints[used]).strip()
    print(f"{exercise.id}  hint {used + 1} of {len(exercise.hints)}\n{text}")
    progress.use_hint(exercise.id, used + 1)


def checkpoint(id: str, fn: Callable) -> Callable:
    """``fn`` if it passes, else the course's own answer, so that the cells below run while you are stuck on this one."""
    result = run(id, fn)
    if result.passed:
        return fn
    print(f"{result.exercise.id} is not solved yet: the cells below use the course's own answer instead of yours")
    return _own_answer(result.exercise)


def _own_answer(exercise: Exercise) -> Callable:
    if not exercise.writes:
        return exercise.answer

    def answer(*args):
        named = dict(zip((a.name for a in exercise.arguments), args, strict=True))
        out = named.pop(exercise.writes)
        out.copy_(exercise.answer(**named))

    return answer


def _strict() -> bool:
    return os.environ.get("SIMPLEX_LAB_STRICT", "") not in ("", "0")


def _display(text: str, html: str) -> None:
    """Rich in a notebook, plain text elsewhere; IPython is never imported by us."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and shell.has_trait("kernel"):
        from IPython.display import display

        display({"text/plain": text, "text/html": html}, raw=True)
    else:
        print(text)


def _explain_missing_names() -> None:
    """In a notebook, a NameError for an exercise's function or a set-up name gets one clear sentence instead of a traceback."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    from simplex_lab.checks.spec import chapters, exercises

    entries = {e.entry: e for c in chapters() for e in exercises(c).values()}

    def explain(shell, kind, error, tb, tb_offset=None):
        name = getattr(error, "name", None)
        if name in entries:
            print(f"`{name}` is not defined yet: run the cell above that defines it (exercise {entries[name].id}), then this one again.")
        elif name in ("torch", "check", "checks", "checkpoint", "hint"):
            print(f"`{name}` is not defined yet: run the set-up cell at the top of the notebook, then this one again.")
        else:
            shell.showtraceback((kind, error, tb), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), explain)


_explain_missing_names()
