"""What a check of a kernel exercise does beside the numbers: watch the learner's kernel, judge its accesses, go on to a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from simplex_lab.access import Fault, Trace, faults

REPEATS = 20


@dataclass
class Watched:
    """What was seen of one call. ``trace`` is None where accesses cannot be watched; ``kernels`` were launched either way."""

    trace: Trace | None = None
    kernels: list[str] = field(default_factory=list)


def device() -> str:
    """Where kernels run here: ``cuda`` if Triton compiles for a GPU, else ``cpu``; raises ``CannotRun`` where they cannot."""
    from simplex_lab.interpreter import interpreting, prepare

    return "cpu" if prepare() == "cpu" or interpreting() else "cuda"


def not_judged() -> str:
    """Why accesses are not judged here, or nothing."""
    from simplex_lab import tracer

    return tracer.missing()


@contextmanager
def watched(undefined: float = float("nan")) -> Iterator[Watched]:
    """Run a call under the tracer, or at least count the kernels it launches that are not the library's own."""
    from simplex_lab import tracer

    seen = Watched()
    # inf - inf in a kernel is a rung's business, not a warning of NumPy's
    with np.errstate(all="ignore"):
        if not tracer.missing():
            with tracer.watch(undefined=undefined) as trace:
                yield seen
            trace.launches = [n for n in trace.launches if not n.module.startswith("simplex_")]
            seen.trace, seen.kernels = trace, [n.kernel for n in trace.launches]
        else:
            with _counted(seen):
                yield seen


@contextmanager
def _counted(seen: Watched) -> Iterator[None]:
    """Note the names of launched kernels, without looking into them."""
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction

    kind = InterpretedFunction if device() == "cpu" else JITFunction
    run = kind.run

    def counted(kernel, *args, **kwargs):
        if not (kernel.fn.__module__ or "").startswith("simplex_"):
            seen.kernels.append(kernel.fn.__name__)
        return run(kernel, *args, **kwargs)

    kind.run = counted
    try:
        yield
    finally:
        kind.run = run


def fault(seen: Watched | None) -> Fault | None:
    """The first thing that is wrong with the accesses."""
    return next(faults(seen.trace), None) if seen is not None and seen.trace is not None else None


def unwritten(seen: Watched | None, name: str) -> Fault | None:
    """Nothing at all was stored: then it says nothing that the output is wrong."""
    if seen is None or seen.trace is None or not seen.kernels:
        return None
    if any(a.op != "load" and a.active.any() for a in seen.trace.accesses):
        return None
    if not any(np.prod(launch.grid) for launch in seen.trace.launches):
        return Fault("no-program", f"the grid has no program, so `{name}` still holds NaN", "how many programs does a single element need?")
    return Fault(
        "nothing-stored", f"no program stored anything, so `{name}` still holds NaN", "which line stores, where, and under which mask?"
    )


def reads_output(seen: Watched | None, name: str) -> Fault | None:
    """An output that holds NaN at first is added to."""
    loads = [a for a in seen.trace.accesses if a.op != "store" and a.name == name and a.active.any()] if seen and seen.trace else []
    if not loads:
        return None
    says = f"line {loads[0].line}, `{loads[0].code}`, adds to `{name}`, which holds NaN at first"
    return Fault("reads-output", says, "could the sum be kept in the program, and stored once?")


def unearned(seen: Watched, name: str, out: torch.Tensor) -> Fault | None:
    """A right output that the learner's kernel did not write."""
    asks = "the work belongs into the function below `@triton.jit`"
    if not seen.kernels:
        return Fault("no-kernel", f"`{name}` is right, but no kernel of yours was launched", asks)
    if seen.trace is None:
        return None
    filled = len(seen.trace.written(out.data_ptr(), out.nbytes))
    if filled < out.numel():
        return Fault("no-kernel", f"`{name}` is right, but your kernel stored only {filled} of its {out.numel()} numbers", asks)
    return None


def milliseconds(run: Callable[[], object]) -> float:
    """Median time of ``run`` on the GPU."""
    for _ in range(3):
        run()
    taken = []
    for _ in range(REPEATS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end))
    return sorted(taken)[len(taken) // 2]
