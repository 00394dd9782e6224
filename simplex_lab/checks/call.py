"""Call a learner's function safely: its own copies of the inputs, bounded time and output, and every exception turned into words."""

from __future__ import annotations

import contextlib
import io
import linecache
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch

from simplex_lab.checks import kernel, memory
from simplex_lab.checks.kernel import Watched
from simplex_lab.checks.spec import Case, Exercise

SECONDS = 20
PRINTED = 2000  # characters kept of what the function prints
# names that the first cell of an exercise defines
SET_UP = {"torch", "triton", "tl", "math", "itertools", "device", "check", "checkpoint", "hint", "prepare"}
SET_UP |= {"D", "BLOCK", "HEADS", "SCALE", "SCALE_LOG2"}
STUB = ("not-attempted", "the stub is still there: replace `raise NotImplementedError()`")


@dataclass
class Outcome:
    """What one call gave: ``value``, or ``trouble`` (a name for tests and a sentence for people). ``printed`` is cut."""

    value: object = None
    trouble: str = ""
    says: str = ""
    printed: str = ""
    changed: str = ""  # name of an input that was modified
    strayed: bool = False  # something was written outside the output
    seen: Watched | None = None  # a kernel exercise: what its kernels touched


class _Tail(io.TextIOBase):
    """Keeps the first characters written and counts the lines."""

    def __init__(self):
        self.kept, self.lines = "", 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        if len(self.kept) < PRINTED:
            self.kept += text[: PRINTED - len(self.kept)]
        return len(text)


class _TooSlow(BaseException):
    pass


@contextlib.contextmanager
def _deadline(seconds: float):
    """Raise in the learner's code after ``seconds``; only where signals exist and we are in the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def call(
    exercise: Exercise, fn: Callable, case: Case, expected: torch.Tensor, *, strided: bool = False, undefined: float = float("nan")
) -> Outcome:
    """Run ``fn`` on clones of the inputs inside NaN halos and, if it writes its output, into a NaN-filled tensor inside a canary.

    ``undefined`` is what a kernel sees in masked lanes that it gave no value. A function of another process makes the call there.
    """
    if remotely := getattr(fn, "outcome", None):
        return remotely(case, expected, strided)
    args, guarded = {}, None
    for name, value in case.args.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            args[name] = _strided(value, exercise.layout) if strided else memory.in_halo(value).tensor
        elif isinstance(value, torch.Tensor):
            args[name] = value.clone()
        else:
            args[name] = value
    if exercise.writes:
        like = next(v for v in case.args.values() if isinstance(v, torch.Tensor))
        guarded = memory.blank_output(expected.shape, like.dtype, like.device)
        args[exercise.writes] = guarded.tensor
    before = {n: v.clone() for n, v in args.items() if isinstance(v, torch.Tensor) and n != exercise.writes}

    outcome, tail = Outcome(), _Tail()
    try:
        watched = kernel.watched(undefined) if exercise.kernel else contextlib.nullcontext()
        with contextlib.redirect_stdout(tail), _deadline(SECONDS), watched as outcome.seen:
            value = fn(*args.values())
        outcome.value = guarded.tensor if guarded is not None else value
        if guarded is not None and isinstance(value, torch.Tensor) and guarded.tensor.isnan().all():
            outcome.trouble, outcome.says = (
                "out-not-filled",
                f"your function returned a tensor and left `{exercise.writes}` untouched: assign into it, `{exercise.writes}[...] = ...`",
            )
    except NotImplementedError:
        outcome.trouble, outcome.says = STUB
    except RecursionError:
        outcome.trouble, outcome.says = "endless-recursion", f"`{_name(fn)}` calls itself without end"
    except _TooSlow:
        outcome.trouble, outcome.says = "too-slow", f"still running after {SECONDS} s on {case.label}: is there a loop that never ends?"
    except Exception as error:
        outcome.trouble, outcome.says = STUB if _is_stub(error) else ("raised", describe(error, fn))
    outcome.printed = tail.kept if tail.lines <= 3 else f"{tail.lines} lines, beginning: {tail.kept.splitlines()[0][:100]}"
    for name, old in before.items():
        if not torch.equal(torch.nan_to_num(old), torch.nan_to_num(args[name])):
            outcome.changed = name
    outcome.strayed = guarded is not None and not guarded.halo_intact()
    return outcome


def describe(error: Exception, fn: Callable) -> str:
    """``ValueError: ...`` with the line of the learner's own code that raised it."""
    error = _inner(error)
    text = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
    own = getattr(getattr(fn, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == own]
    if frames:
        line = linecache.getline(frames[-1].filename, frames[-1].lineno).strip()
        text += f", in line {frames[-1].lineno} of your cell: `{line}`"
    elif isinstance(error, TypeError) and "argument" in str(error):
        text += ": does your function take the arguments of the contract table, in that order?"
    if isinstance(error, NameError) and (missing := getattr(error, "name", None)):
        known = missing in SET_UP
        text += f". `{missing}` is not defined" + (
            ": run the set-up cell at the top of the notebook first" if known else ": a slip of the pen?"
        )
    return text


def _inner(error: Exception) -> Exception:
    """What went wrong inside a kernel, without the wrapper of Triton's interpreter."""
    while type(error).__name__ == "InterpreterError" and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _is_stub(error: Exception) -> bool:
    """A kernel whose body is still the stub: raised in the interpreter, refused by the compiler on a GPU."""
    return isinstance(_inner(error), NotImplementedError) or "raise NotImplementedError" in str(error)


def _name(fn) -> str:
    return getattr(fn, "__name__", "your function")


def _strided(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same numbers with other strides: every second element (``rows``: the left half) of a buffer twice as wide, the rest NaN."""
    wide = torch.full((*x.shape[:-1], 2 * x.shape[-1]), float("nan"), dtype=x.dtype, device=x.device)
    view = wide[..., : x.shape[-1]] if layout == "rows" else wide[..., ::2]
    view.copy_(x)
    return view
