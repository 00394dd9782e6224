"""Rungs that ask for more than equal numbers: causality, sums, large logits, small tensors. Each takes a ``ladder.Climb``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from simplex_lab.checks.call import call
from simplex_lab.checks.ladder import Climb
from simplex_lab.checks.spec import Case
from simplex_lab.meter import memory_of


def sums_to_one(axes: tuple[int, ...], over: str):
    """The weights of every query sum to 1 over ``over``."""

    def sums(climb: Climb) -> None:
        case = climb.exercise.cases(climb.generator)[-1]
        total = climb.output("sums to one", case).double().sum(axes)
        wrong = (total - 1).abs() > 1e-4
        if wrong.any():
            says = f"the weights of a query sum to {total.flatten()[wrong.flatten()][0].item():.3f} over {over}, expected 1"
            climb.give_up("sums to one", case, "sums", says, f"over which axes does {over} run?")

    return sums


def causal(names: tuple[str, ...], *, axis: int):
    """Changing the second half of ``names`` along ``axis`` leaves the first half of the output alone."""

    def look_ahead(climb: Climb) -> None:
        case = climb.exercise.cases(climb.generator)[-1]
        before, args, half = climb.output("causal", case), dict(case.args), 0
        for name in names:
            changed = args[name].clone()
            half = changed.shape[axis] // 2
            changed.narrow(axis, half, changed.shape[axis] - half).mul_(-2).add_(1)
            args[name] = changed
        after = climb.output("causal", replace(case, args=args))
        moved = (after - before).abs().narrow(axis, 0, half)
        if moved.max() > 1e-5:
            says = f"changing tokens {half} and later changed the output at token {int(moved.movedim(axis, 0).flatten(1).amax(1).argmax())}"
            climb.give_up("causal", case, "sees-the-future", says, "which weights must be zero, and are they zero before the softmax?")

    return look_ahead


def large_logits(name: str, factor: float):
    """Finite and right when ``name`` is scaled up so that naive exponentials overflow."""

    def large(climb: Climb) -> None:
        case = climb.exercise.cases(climb.generator)[-1]
        args = dict(case.args)
        args[name] = args[name] * factor
        climb.compare("large logits", replace(case, label=f"{case.label}, {name} times {factor:g}", args=args))

    return large


def no_larger_than(numbers: int, case: Callable[[torch.Generator], Case], what: str):
    """No tensor on the way has more than ``numbers`` entries, on a case where the whole would have many more."""

    def small_tensors(climb: Climb) -> None:
        big = case(climb.generator)
        climb.compare("tiles", big)
        args = {n: v.clone() if isinstance(v, torch.Tensor) else v for n, v in big.args.items()}
        largest = memory_of(lambda: climb.fn(**args)).largest // 4
        if largest > numbers:
            says = f"a tensor of {largest:,} numbers was made: {what}"
            climb.give_up("tiles", big, "more-than-a-tile", says, "which line computes for several tiles, or for all first keys, at once?")

    return small_tensors


def sharp(generator: torch.Generator, *shape: int, gain: float = 1.0) -> torch.Tensor:
    """Normal inputs times ``gain``: the gain is chosen so that the softmax is neither flat nor a single spike."""
    return gain * torch.randn(*shape, generator=generator)


def no_atomics(climb: Climb) -> None:
    """No program adds to what another one writes, not even atomically: the order of the sum, and so its last bits, would change."""
    case = climb.here(climb.exercise.cases(climb.generator)[-1])
    seen = call(climb.exercise, climb.fn, case, climb.expected(case)).seen
    used = [a for a in seen.trace.accesses if a.op == "atomic"] if seen and seen.trace else []
    if used:
        says = f"line {used[0].line}, `{used[0].code}`, is atomic: sums come out in any order, and the last bits change from run to run"
        climb.give_up("access", case, "atomic", says, "who could own this element of the output alone?")


def finite(case: Callable[[torch.Generator], Case], says: str, asks: str):
    """No infinity and no NaN on a case whose numbers are too large for the tolerance of the other rungs."""

    def all_finite(climb: Climb) -> None:
        extreme = case(climb.generator)
        if not climb.output("finite", extreme).isfinite().all():
            climb.give_up("finite", extreme, "not-finite", says, asks)

    return all_finite


def loads_at_most(why: str, case: Callable[[torch.Generator], Case] | None = None, **most: Callable[[dict], int]):
    """Through each parameter named in ``most`` the kernel loads no more than ``most(args)`` elements, repetitions counted: the order of
    its loops.

    Looked at before the large cases, which a kernel that loads too much makes slow; numbers come first all the same.
    """

    def loads(climb: Climb) -> None:
        chosen = climb.here(case(climb.generator) if case else climb.exercise.cases(climb.generator)[-1])
        expected = climb.expected(chosen)
        outcome = call(climb.exercise, climb.fn, chosen, expected)
        seen = outcome.seen
        if seen is None or seen.trace is None or not climb.right(chosen, outcome.value, expected):
            return
        for parameter, limit in ((p, f(chosen.args)) for p, f in most.items()):
            name = parameter.removesuffix("_ptr")
            loaded = sum(launch.loaded(name) for launch in seen.trace.launches)
            if loaded > limit:
                says = f"{loaded:,} elements of {name} are loaded where {limit:,} would do: {why}"
                asks = "what does the innermost load bring that was there before, or that no row of the program sees?"
                climb.give_up("access", chosen, "loads-again", says, asks)

    loads.early = True
    return loads
