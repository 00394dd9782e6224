"""A submission's function, called in the submission's process: what goes there are inputs, what comes back are outputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from simplex_lab.checks.call import Outcome
from simplex_lab.checks.kernel import Watched
from simplex_lab.checks.spec import Case, Exercise, UnknownExercise, find
from simplex_lab.grading.sandbox import Sandbox, Stopped

LENT = 10_000  # answers that are lent in one call
WORDS = {"trouble": 40, "says": 400, "printed": 300, "changed": 40}  # characters kept of what a submission says


class Remote:
    """Stands for the function in a check. :func:`simplex_lab.checks.call.call` sees :meth:`outcome` and leaves the call to it."""

    def __init__(self, exercise: Exercise, box: Sandbox):
        self.exercise, self.box, self.__name__ = exercise, box, exercise.entry

    def outcome(self, case: Case, expected: torch.Tensor, strided: bool) -> Outcome:
        """What a call in halos and canaries gave there.

        Raises:
            Stopped: the process is gone or had to be ended.
        """
        e = self.exercise
        about = {"layout": e.layout, "writes": e.writes, "kernel": e.kernel}
        asked = {"label": case.label, "args": dict(case.args), "shape": list(expected.shape), "strided": strided}
        told = self._ask({"call": e.entry, "exercise": about} | asked)
        said = {name: _words(told.get(name), most) for name, most in WORDS.items()}
        kernels = told.get("kernels")
        seen = Watched(kernels=[_words(k, 60) for k in kernels[:99]] if isinstance(kernels, list) else []) if e.kernel else None
        return Outcome(value=told.get("value"), strayed=bool(told.get("strayed")), seen=seen, **said)

    def __call__(self, **args):
        return self._ask({"call": self.exercise.entry, "exercise": {}, "plain": True, "args": args}).get("value")

    def check(self, seed: int) -> Mapping:
        """What the same check says in the submission's own process. It is hearsay: it may lower a grade and never raise one."""
        return self._ask({"check": self.exercise.id, "entry": self.exercise.entry, "seed": seed})

    def _ask(self, question: dict) -> dict:
        self.box.send(question)
        return answer_of(self.box, but=self.exercise.id)


def answer_of(box: Sandbox, *, but: str | None) -> dict:
    """The next message; on the way answers of other exercises are lent, that of ``but`` is refused."""
    for _ in range(LENT):
        told = box.receive()
        if not isinstance(told, dict):
            raise Stopped("it sent something that is no answer")
        if "lend" not in told:
            return told
        box.send(_lend(told, but))
    raise Stopped(f"it asked for the course's answers more than {LENT} times")


def _lend(told: Mapping, but: str | None) -> dict:
    try:
        exercise = find(told["lend"])
        if exercise.id == but:
            return {"refused": f"checkpoint lends no answer to exercise {but} while it is graded"}
        args = dict(zip((a.name for a in exercise.arguments), told["args"], strict=False)) | told["named"]
        args.pop(exercise.writes, None)
        return {"value": exercise.answer(**args), "writes": exercise.writes}
    except (UnknownExercise, Exception) as error:  # whatever it passed: its own call fails, not the grading
        return {"refused": f"checkpoint: {type(error).__name__}: {error}"[:300]}


def _words(said: object, most: int) -> str:
    """A text of the submission, short and without control characters."""
    return "".join(c if c.isprintable() else " " for c in said[:most]) if isinstance(said, str) else ""
