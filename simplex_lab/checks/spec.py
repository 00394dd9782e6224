"""What an exercise is: contract, hand case, random cases, right answer, known mistakes and hints, in one object."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Argument:
    """One line of the contract table; ``shape`` names axes, the same letter meaning the same size everywhere."""

    name: str
    shape: str
    dtype: str
    promise: str


@dataclass(frozen=True)
class Case:
    """Inputs for one call, in calling order. Calls never share tensors: the runner clones them."""

    label: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Mistake:
    """A known mistake: ``wrong`` computes what it gives, ``says`` names it, ``asks`` is a question that leads out of it.

    A mistake that Python refuses gives nothing: it is known by its error, which ``raises`` (a regular expression) matches.
    """

    name: str
    wrong: Callable[..., torch.Tensor]
    says: str
    asks: str
    raises: str = ""


@dataclass(frozen=True)
class Exercise:
    """Everything the card, the check and the tests need to know about one exercise.

    ``answer`` takes the arguments of a case and returns the right output in their dtype. When ``writes`` is set, the learner's function
    fills that argument instead of returning a tensor; ``answer`` still returns the output. A kernel exercise fills its output always.
    """

    id: str
    entry: str
    title: str
    objective: str
    difficulty: int
    minutes: int
    arguments: tuple[Argument, ...]
    returns: Argument
    hand: Case
    cases: Callable[[torch.Generator], list[Case]]
    answer: Callable[..., torch.Tensor]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, str, str]
    question: str
    properties: tuple[Callable, ...] = ()
    axes: str = ""  # names of the output's axes, for example "i j k"
    chooses: bool = False  # the output is picked from a few: mistakes coincide on one case, so a name must explain them all
    writes: str | None = None
    tolerance: float = 2e-5  # of the output's size
    floor: float = 1e-3  # a smaller output counts as this large: where numbers of the inputs' size cancel, their rounding stays
    verified: str = "CPU"
    kernel: bool = False  # the function launches a Triton kernel of the learner's
    layout: str = "any"  # strides that inputs may have: "any", "rows" (channels contiguous) or "contiguous"
    large: Callable[[torch.Generator], Case] | None = None  # for a GPU: a case in bf16 that is worth timing


class UnknownExercise(KeyError):
    """No exercise of that id; the message suggests the nearest."""

    def __str__(self) -> str:
        return str(self.args[0])


def chapters() -> list[str]:
    """Numbers of the chapters that have exercises, ``["01", "03", ...]``."""
    import simplex_lab.checks as package

    return sorted(m.name.removeprefix("chapter") for m in pkgutil.iter_modules(package.__path__) if m.name.startswith("chapter"))


def exercises(chapter: str) -> dict[str, Exercise]:
    """The exercises of one chapter by id, in order."""
    module = importlib.import_module(f"simplex_lab.checks.chapter{chapter}")
    return {e.id: e for e in module.EXERCISES}


def find(id: str) -> Exercise:
    """The exercise of that id.

    Raises:
        UnknownExercise: there is none; the message names the nearest ids.
    """
    id = str(id)
    known = [e for c in chapters() for e in exercises(c)]
    if id in known:
        return exercises(id[:2])[id]
    near = [e for e in known if e == id.zfill(4)] or difflib.get_close_matches(id, known, n=1, cutoff=0.4)
    near = near or [e for e in known if e.startswith(id.zfill(2)[:2])]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownExercise(f"There is no exercise {id!r}.{hint} Known: {', '.join(known)}.")
