"""The ladder a check climbs: it stops at the first rung that fails and says what it saw there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from simplex_lab.checks import kernel
from simplex_lab.checks.call import Outcome, call
from simplex_lab.checks.spec import Case, Exercise, Mistake

SEED = 20250702
ROUNDING = 4  # times the rounding error of plain PyTorch that another order of sums may have
MIXED = r"expected scalar type|expected .* the same dtype|result type .* can't be cast"  # torch on two types that meet
UNDEFINED = (float("nan"), 1e30, -1e30)  # what lanes may hold that a kernel leaves undefined
LARGE = 1000  # an output of this size and more is judged by its digits: an error of 50 is nothing to a billion
NARROW = "a float32 came back although the inputs are float64. Its seven digits do here; which line makes one, or converts? "
NEW_TYPE = "which line makes a tensor without `dtype=`, or converts one? `torch.zeros_like(x)` takes over the type of x"
# what to try when the card's own example is right
BEYOND_THE_CARD = {
    "random": "the card's example comes out right and {case} does not: what is there in it that the card does not have?",
    "finite": "in {case}, which step makes the first number that is not finite? inf - inf, 0 / 0, or the exponential of a large number?",
    "large logits": "smaller logits come out right: which exponential becomes inf, or which sum of exponentials 0?",
    "strided": "the same numbers, contiguous in memory, come out right: which of your steps assumes how they lie?",
}


@dataclass
class Result:
    """The outcome of a check. ``rung`` and ``diagnosis`` are stable names; the rest is for people."""

    exercise: Exercise
    passed: bool = False
    rung: str = ""
    where: str = ""  # the case in words
    worst: str = ""
    diagnosis: str = ""
    says: str = ""
    asks: str = ""
    inputs: str = ""  # the inputs, if they are few whole numbers
    wrong: torch.Tensor | None = field(default=None, repr=False)  # True where the output is wrong
    max_error: float = 0.0  # as a share of the output where ``shared``: its size is 1000 or more
    shared: bool = False
    printed: str = ""
    device: str = "CPU"
    notes: str = ""  # a pass: what else there is to say

    @property
    def attempted(self) -> bool:
        return self.diagnosis != "not-attempted"


class Failed(Exception):
    """Carries the result out of the rung that failed."""

    def __init__(self, result: Result):
        super().__init__(result.rung)
        self.result = result


class Climb:
    """One check of one function. Properties use :meth:`output`, :meth:`compare` and :meth:`fail`."""

    def __init__(self, exercise: Exercise, fn: Callable, seed: int = SEED):
        self.exercise, self.fn, self.generator = exercise, fn, torch.Generator().manual_seed(seed)
        self.max_error, self.shared, self.narrow, self.printed = 0.0, False, False, ""

    def run(self) -> Result:
        try:
            self.compare("hand", self.exercise.hand, first=True)
            for prop in self.exercise.properties:
                if getattr(prop, "early", False):
                    prop(self)
            cases = self.exercise.cases(self.generator)
            for case in cases:
                self.compare("random", case)
            for prop in self.exercise.properties:
                if not getattr(prop, "early", False):
                    prop(self)
            if self.exercise.layout != "contiguous":
                self.compare("strided", cases[-1], strided=True)
            if not self.exercise.kernel and any(isinstance(v, torch.Tensor) and v.is_floating_point() for v in cases[-1].args.values()):
                self.compare("float64", in_float64(cases[-1]))
            self.memory(cases[-1])
            if self.exercise.kernel and kernel.device() == "cpu":
                self.half(cases[-1])
            notes = self.gpu(cases[-1]) if torch.cuda.is_available() else ""
        except Failed as stop:
            return stop.result
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        if self.exercise.kernel and (why := kernel.not_judged()):
            notes += f"memory accesses were not judged: {why}"
        notes += NARROW * self.narrow
        error = {"max_error": self.max_error, "shared": self.shared}
        return Result(self.exercise, passed=True, **error, printed=self.printed, device=device, notes=notes)

    # --- rungs -------------------------------------------------------------------------------------------------------

    def compare(self, rung: str, case: Case, *, first: bool = False, strided: bool = False) -> torch.Tensor:
        """Run one case and hold the output against the fp64 answer."""
        case, expected = self.here(case), self.expected(case)
        outcome = call(self.exercise, self.fn, case, expected, strided=strided)
        self.printed = self.printed or outcome.printed
        value = self.admit(rung, case, outcome, expected)
        error = (value.double() - expected).abs()
        limit = self.limit(case, expected)
        wrong = ~(error <= limit)
        finite = expected.isfinite() & ~value.isfinite()
        if finite.any() and rung in ("hand", "random", "strided"):
            self.fail("finite", case, value, expected, finite, limit, seen=outcome.seen)
        if wrong.any():
            self.fail(rung, case, value, expected, wrong, limit, seen=outcome.seen)
        if self.exercise.kernel:
            earned = kernel.unearned(outcome.seen, self.exercise.writes, outcome.value)
            self.judge(case, outcome.seen, earned or self.undefined(case, outcome.seen, expected, limit))
        size = expected.abs().max().item() if error.numel() else 0.0
        self.shared |= size >= LARGE
        self.max_error = max(self.max_error, error.max().item() / (size if size >= LARGE else 1.0) if error.numel() else 0.0)
        return value

    def admit(self, rung: str, case: Case, outcome: Outcome, expected: torch.Tensor) -> torch.Tensor:
        """Attempted, runs, and returns the right kind of thing: the rungs before any number is looked at."""
        dtype = next((a.dtype for a in case.args.values() if isinstance(a, torch.Tensor) and a.is_floating_point()), None)
        if outcome.trouble == "not-attempted":
            self.give_up("attempted", case, outcome.trouble, outcome.says, "")
        if outcome.trouble == "raised":
            for mistake in self.exercise.mistakes:
                if mistake.raises and re.match(mistake.raises, outcome.says):
                    self.give_up("runs", case, mistake.name, f"{outcome.says}. {mistake.says}", mistake.asks)
            if re.search(MIXED, outcome.says) and not self.exercise.kernel:
                says = f"{outcome.says}. Two tensors of different types meet: the inputs are {dtype}"
                self.give_up("runs", case, "mixed-types", says, NEW_TYPE)
        if outcome.trouble:
            asks = f"run your function by hand on {'the example of the card' if rung == 'hand' else case.label}: what happens?"
            self.give_up("runs", case, outcome.trouble, outcome.says, asks)
        value, what = outcome.value, self.exercise.returns
        if value is None:
            self.give_up("returns", case, "returns-none", "your function returns None", "is there a `return` on every way out of it?")
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, (int, float)) and expected.dim() == 0:
            value = torch.tensor(value, dtype=torch.float64)
        if not isinstance(value, torch.Tensor):
            wanted = f"a torch.Tensor of shape {what.shape}" if what.shape else "a number"
            says = f"your function returns a {type(value).__name__}, expected {wanted}"
            made_of = isinstance(value, (list, tuple)) and what.shape
            stack = made_of and all(isinstance(x, torch.Tensor) for x in value)
            wrap = "stack([...])" if stack else "tensor([...], dtype=torch.float64)" if dtype == torch.float64 else "tensor([...])"
            asks = f"wrap it: `torch.{wrap}`" if made_of else "what does the card promise in its last row?"
            self.give_up("returns", case, "wrong-type", says, asks)
        if value.shape != expected.shape:
            named = f"{what.shape} = {list(expected.shape)}" if what.shape else "a single number"
            says = f"shape {list(value.shape)}, expected {named}"
            asks = "which axis is missing, or one too many?"
            if sorted(value.shape) == sorted(expected.shape):
                asks = "the sizes are right and the order is not: which two axes trade places?"
            self.give_up("returns", case, "wrong-shape", says, asks, of=value)
        dtype = dtype or value.dtype
        if value.dtype != dtype and expected.dim():
            says = f"dtype {value.dtype}, expected {dtype}, that of the inputs"
            if (value.dtype, dtype) == (torch.float32, torch.float64):
                says += ": `torch.zeros`, `torch.tensor` and their kin make float32, whatever the inputs are"
            self.give_up("returns", case, "wrong-dtype", says, NEW_TYPE)
        self.narrow |= (value.dtype, dtype) == (torch.float32, torch.float64) and not expected.dim()
        device = next((a.device for a in case.args.values() if isinstance(a, torch.Tensor)), value.device)
        if value.device != device:
            says = f"the output is on {value.device}, the inputs are on {device}"
            self.give_up("returns", case, "wrong-device", says, "which tensor did you create without `device=`?")
        if outcome.strayed:
            self.judge(case, outcome.seen)
            says = "something was written outside the output: the canary around it is dead"
            self.give_up("memory", case, "stray-write", says, "which index can run past the end?")
        return value.detach().cpu()

    def memory(self, case: Case) -> None:
        """Inputs unmodified. (Reads beyond an input meet NaN in every rung; stray writes are caught in every rung.)"""
        case = self.here(case)
        outcome = call(self.exercise, self.fn, case, self.expected(case))
        if outcome.changed:
            says = f"your function modifies its input `{outcome.changed}`: the caller still needs it"
            self.give_up(
                "memory",
                case,
                "modifies-input",
                says,
                "which line writes in place (`+=`, `*=`, a method ending in `_`, an assignment into a view)?",
            )

    def half(self, case: Case) -> None:
        """A kernel in the interpreter: once in fp16, which tells of products that mix types, as bf16 would on a GPU."""
        low = replace(on(case, "cpu", torch.float16), label=f"{case.label}, fp16")
        expected, eager = self.expected(low), self.exercise.answer(**low.args).double()
        outcome = call(self.exercise, self.fn, low, expected)
        if outcome.trouble:
            asks = "which of the two is fp32 although the inputs are not? `p.to(V2.dtype)` takes p to the type of V2"
            self.give_up("fp16", low, "mixed-types", outcome.says, asks)
        self.close("fp16", low, self.admit("fp16", low, outcome, expected), expected, eager)

    def close(self, rung: str, case: Case, value: torch.Tensor, expected: torch.Tensor, eager: torch.Tensor) -> None:
        """Low precision: an error of at most twice plain PyTorch's in the same type, plus 1e-3 of the output's size."""
        own, allowed = ((x.double() - expected).square().mean().sqrt().item() for x in (value, eager))
        rms = expected.square().mean().sqrt().item()
        if not own <= 2 * allowed + 1e-3 * rms:
            says = f"in {rung} the error is {own / rms:.1%} of the output's size; plain PyTorch's is {allowed / rms:.1%}"
            self.give_up(rung, case, rung, says, f"which of your sums or powers is taken in {rung} instead of fp32?")

    def judge(self, case: Case, seen: kernel.Watched | None, found: kernel.Fault | None = None) -> None:
        """A kernel exercise: nothing outside a tensor, no element with two owners, and the learner's own kernel did the work."""
        if found := found or kernel.fault(seen):
            self.give_up("access", case, found.name, found.says, found.asks)

    def gpu(self, case: Case) -> str:
        """On a GPU: the function once more there; a kernel also in bf16, with its time beside that of plain PyTorch."""
        if not self.exercise.kernel:
            self.compare("gpu", on(case, "cuda"))
            return ""
        if kernel.device() == "cpu" or self.exercise.large is None:
            return ""
        large = on(self.exercise.large(self.generator), "cuda", torch.bfloat16)
        expected, eager = self.expected(large), self.exercise.answer(**large.args).double().cpu()
        value = self.admit("gpu", large, call(self.exercise, self.fn, large, expected), expected)
        self.close("bf16", large, value, expected, eager)
        out = torch.empty_like(eager, dtype=torch.bfloat16, device="cuda")
        mine = kernel.milliseconds(lambda: self.fn(*large.args.values(), out))
        plain = kernel.milliseconds(lambda: self.exercise.answer(**large.args))
        return f"bf16, {large.label}: {mine:.3g} ms, plain PyTorch {plain:.3g} ms; "

    # --- how it ends -------------------------------------------------------------------------------------------------

    def here(self, case: Case) -> Case:
        """The case where kernels run: a kernel exercise takes its tensors to the GPU if there is one."""
        return on(case, "cuda") if self.exercise.kernel and kernel.device() == "cuda" else case

    def limit(self, case: Case, expected: torch.Tensor) -> float:
        """The error that is allowed: the tolerance times the output's size, or a few times the rounding of plain PyTorch on this case.

        Large logits and differences that nearly cancel magnify rounding, whoever computes them.
        """
        size = self.exercise.tolerance * max(expected.abs().max().item(), self.exercise.floor)
        if not any(isinstance(v, torch.Tensor) and v.is_floating_point() for v in case.args.values()):
            return size
        plain = torch.as_tensor(self.exercise.answer(**case.args)).detach().cpu().double()
        own = (plain - expected).abs().nan_to_num(0.0, 0.0, 0.0)
        return max(size, ROUNDING * own.max().item()) if own.numel() else size

    def right(self, case: Case, value, expected: torch.Tensor) -> bool:
        """Is this the answer, up to the tolerance?"""
        limit = self.limit(case, expected)
        return (
            isinstance(value, torch.Tensor)
            and value.shape == expected.shape
            and bool(((value.double().cpu() - expected).abs() <= limit).all())
        )

    def expected(self, case: Case) -> torch.Tensor:
        """The answer in fp64, on the CPU."""
        args = {n: v.double().cpu() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for n, v in case.args.items()}
        answer = self.exercise.answer(**args)
        return (answer if isinstance(answer, torch.Tensor) else torch.tensor(answer)).double()

    def output(self, rung: str, case: Case) -> torch.Tensor:
        """The learner's output for a case, admitted but not compared: for properties that need no reference."""
        case, expected = self.here(case), self.expected(case)
        return self.admit(rung, case, call(self.exercise, self.fn, case, expected), expected)

    def give_up(self, rung: str, case: Case, diagnosis: str, says: str, asks: str, of: torch.Tensor | None = None) -> None:
        if of is not None and (known := self.recognise(case, of)):
            diagnosis, says, asks = known.name, f"{says}. {known.says}", known.asks
        raise Failed(Result(self.exercise, rung=rung, where=case.label, diagnosis=diagnosis, says=says, asks=asks, printed=self.printed))

    def fail(self, rung: str, case: Case, value, expected, wrong, limit: float, saw: str = "", seen=None) -> None:
        """Numbers differ: name the worst one, draw where, and look for a known mistake that gives the same numbers.

        A kernel's accesses come next: what is wrong with them explains wrong numbers. Then lanes that it left undefined.
        """
        found = None
        if not value[wrong].isfinite().all():  # numbers that are not there say little
            found = kernel.fault(seen) or kernel.reads_output(seen, self.exercise.writes) or self.undefined(case, seen, expected, limit)
            if found and found.name == "race":
                found = kernel.reads_output(seen, self.exercise.writes)
        known = found or self.recognise(case, value)
        if not known:
            known = found = (
                kernel.unwritten(seen, self.exercise.writes) or kernel.fault(seen) or self.undefined(case, seen, expected, limit)
            )
        rung = "access" if found else rung
        result = Result(self.exercise, rung=rung, where=saw or case.label, wrong=wrong, printed=self.printed)
        result.inputs = "" if rung == "hand" else small(case)
        result.worst = worst_line(self.exercise, value, expected, wrong, limit)
        if known:
            result.diagnosis, result.says, result.asks = known.name, known.says, known.asks
        else:
            result.diagnosis, result.asks = "unknown", BEYOND_THE_CARD.get(rung, self.exercise.question).format(case=case.label)
        raise Failed(result)

    def undefined(self, case: Case, seen: kernel.Watched | None, expected: torch.Tensor, limit: float) -> kernel.Fault | None:
        """Are the numbers right with 0 in masked lanes without ``other=``, as the interpreter has it, and wrong with others?

        NaN alone would not show it: a maximum passes it over.
        """
        loose = [a for a in seen.trace.accesses if not (a.given_other or a.active.all())] if seen and seen.trace else []
        if not loose:
            return None

        def right(undefined: float) -> bool:
            value = call(self.exercise, self.fn, case, expected, undefined=undefined).value
            return torch.is_tensor(value) and bool(((value.double().cpu() - expected).abs() <= limit).all())

        if not right(0.0) or all(map(right, UNDEFINED)):
            return None
        says = f"line {loose[0].line}, `{loose[0].code}`, leaves masked lanes undefined, and they reach the output"
        says += ". A CPU fills in 0, a GPU anything"
        return kernel.Fault("no-other", says, "which `other=` makes the masked lanes harmless for what follows?")

    def recognise(self, case: Case, value: torch.Tensor) -> Mistake | None:
        """The known mistake whose output on this case, and on further cases while several fit, is the learner's."""
        fits = [m for m in self.exercise.mistakes if not m.raises and self.same(m, case, value)]
        whole = torch.equal(value.double(), value.double().round())
        if fits and (self.exercise.chooses or whole or not value.isfinite().any()):
            # choices and whole numbers agree by chance, NaN with any NaN: a mistake must explain the other cases, too
            for other in (self.exercise.hand, *self.exercise.cases(torch.Generator().manual_seed(SEED))):
                again = call(self.exercise, self.fn, other, self.expected(other)).value
                again = torch.as_tensor(again) if isinstance(again, (int, float, torch.Tensor)) else None
                fits = [m for m in fits if again is None or self.agrees(m, other, again)]
        if len(fits) > 1:
            for other in self.exercise.cases(torch.Generator().manual_seed(SEED + 1)):
                again = call(self.exercise, self.fn, other, self.expected(other)).value
                if isinstance(again, (int, float, torch.Tensor)):
                    again = torch.as_tensor(again, dtype=None if isinstance(again, torch.Tensor) else torch.float64)
                    left = [m for m in fits if self.agrees(m, other, again)]
                    fits = left or [m for m in fits if self.agrees(m, other, again, hidden=0.0)] or fits
                if len(fits) == 1:
                    break
        return fits[0] if fits else None

    def same(self, mistake: Mistake, case: Case, value: torch.Tensor) -> bool:
        """Does the mistake give the learner's output, and not the right one? If it does no harm on this case, it explains nothing."""
        return self.agrees(mistake, case, value) and not self.agrees(mistake, case, self.expected(case))

    def agrees(self, mistake: Mistake, case: Case, value: torch.Tensor, hidden: float = math.nan) -> bool:
        """Does the mistake give these numbers? ``hidden`` stands in for its NaN: some write 0 there and make the mistake all the same."""
        args = {n: v.clone() if isinstance(v, torch.Tensor) else v for n, v in case.args.items()}
        wrong = mistake.wrong(**args)
        wrong = wrong if isinstance(wrong, torch.Tensor) else torch.tensor(wrong, dtype=torch.float64)
        if wrong.shape != value.shape:
            return False
        wrong = torch.where(wrong.isnan(), hidden, wrong.double())
        return torch.allclose(wrong.detach().double().cpu(), value.detach().double().cpu(), rtol=1e-4, atol=1e-5, equal_nan=True)


def worst_line(exercise: Exercise, value, expected, wrong, limit: float) -> str:
    """``o[0, 11]: got 0.4127, expected -0.0863 (tolerance 2e-05); rows i=0-3 are right, rows i=4-16 are wrong``."""
    if expected.dim() == 0:
        return f"{exercise.returns.name}: got {value.item():g}, expected {expected.item():g}"
    error = torch.where(wrong, (value.double() - expected).abs().nan_to_num(torch.inf), torch.zeros_like(expected))
    at = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    axes = exercise.axes.split()
    index = ", ".join(f"{a}={i}" for a, i in zip(axes, at, strict=True)) if axes else ", ".join(map(str, at))
    line = f"{exercise.returns.name}[{index}]: got {value[at].item():.4g}, expected {expected[at].item():.4g} (tolerance {limit:.0e})"
    main = _main_axis(axes)
    rows = wrong.movedim(main, 0).flatten(1).any(1) if wrong.dim() > 1 else wrong
    if rows.all() or not rows.any():
        what = "rows" if wrong.dim() > 1 else "numbers"
        return line + f"; all {len(rows)} {what} are wrong" if rows.all() and len(rows) > 1 else line
    name = axes[main] if axes else "row"
    return line + f"; {name} = {ranges(~rows)} right, {name} = {ranges(rows)} wrong"


def _main_axis(axes: list[str]) -> int:
    """The axis along which rows are told apart: the query if there is one."""
    return axes.index("i") if "i" in axes else 0


def ranges(mask: torch.Tensor) -> str:
    """``0-3, 7, 9-12`` for a boolean vector."""
    runs, at = [], mask.nonzero().flatten().tolist()
    for i in at:
        if runs and i == runs[-1][1] + 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in runs]
    return ", ".join(shown[:4]) + (", ..." if len(shown) > 4 else "")


def on(case: Case, device: str, dtype: torch.dtype | None = None) -> Case:
    """The same case with its tensors on another device, and its real numbers in ``dtype``."""

    def move(v):
        if not isinstance(v, torch.Tensor):
            return v
        return v.to(device, dtype if v.is_floating_point() else None)

    label = case.label if device in case.label else f"{case.label} on {device}"
    return replace(case, label=label, args={n: move(v) for n, v in case.args.items()})


def in_float64(case: Case) -> Case:
    """The same case in float64: an output made without a dtype shows there."""
    args = {n: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for n, v in case.args.items()}
    return replace(case, label=f"{case.label} in float64", args=args)


def small(case: Case) -> str:
    """``modulus = 5, x = [1, 4, 0]``: the inputs of a case if they are few whole numbers, else nothing."""
    shown = []
    for name, v in case.args.items():
        if isinstance(v, torch.Tensor) and (v.is_floating_point() or v.numel() > 40):
            return ""
        shown.append(f"{name} = {v.tolist() if isinstance(v, torch.Tensor) else v}")
    return ", ".join(shown) if any(isinstance(v, torch.Tensor) for v in case.args.values()) else ""
