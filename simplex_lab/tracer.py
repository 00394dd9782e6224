"""Watch kernels in Triton's interpreter: which addresses each program loads and stores, line by line.

``watch()`` wraps three methods of the interpreter's builder and the launch of an interpreted kernel, and puts them back. While it
watches, an address outside of every tensor is not touched (a load from there gives NaN), and lanes that a mask turns off without
``other=`` hold NaN: a GPU may hand out anything. Where Triton's internals have changed, :func:`missing` says so, and nothing is watched.
"""

from __future__ import annotations

import inspect
import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from simplex_lab.access import Access, Launch, Region, Trace, differ

# The arguments that are looked at; what follows them differs from release to release and is passed on.
SIGNATURES = {
    "create_masked_load": ["ptrs", "mask", "other"],
    "create_masked_store": ["ptrs", "value", "mask"],
    "create_atomic_rmw": ["rmwOp", "ptr", "val", "mask"],
    "create_dot": ["a", "b", "d"],
}


def missing() -> str:
    """Why kernels cannot be watched here, or nothing."""
    from simplex_lab.interpreter import interpreting

    if not interpreting():
        return "kernels run on a GPU here"
    from triton.runtime import interpreter

    for name, expected in SIGNATURES.items():
        method = getattr(interpreter.interpreter_builder, name, None)
        if method is None or list(inspect.signature(method).parameters)[: len(expected)] != expected:
            return f"this version of Triton has another {name}"
    return ""


@contextmanager
def watch(*, undefined: float = float("nan")) -> Iterator[Trace]:
    """Everything that kernels touch inside the block. ``undefined`` is what masked lanes hold when a load gives no ``other=``.

    Raises:
        RuntimeError: kernels cannot be watched here, or are watched already; the message says why.
    """
    import triton
    from triton.runtime.interpreter import InterpretedFunction, TensorHandle, interpreter_builder

    if InterpretedFunction.run.__module__ == __name__:
        raise RuntimeError("kernels are being watched already")
    if why := missing():
        raise RuntimeError(why)
    here, trace = os.path.dirname(os.path.abspath(triton.__file__)), Trace()
    load, store, atomic, dot = (getattr(interpreter_builder, name) for name in SIGNATURES)
    run = InterpretedFunction.run

    def note(op, ptrs, mask, given_other=True, values=None):
        line, code = _line(here)
        launch = trace.launches[-1]
        addresses, active = np.ravel(ptrs.data).astype(np.int64), np.broadcast_to(np.ravel(mask.data), np.size(ptrs.data)).astype(bool)
        found = launch.aimed_at(addresses[active] if active.any() else addresses, code)
        if found is None:
            return np.zeros(np.shape(ptrs.data), dtype=bool)
        offsets = found.offsets(addresses)
        inside = active & found.holds(offsets)
        clash = values is not None and differ(offsets[inside], np.broadcast_to(np.ravel(values.data), active.shape)[inside])
        program = tuple(int(x) for x in interpreter_builder.grid_idx)
        launch.accesses.append(Access(program, op, found, offsets, active, inside, given_other, clash, line, code))
        return found.near(addresses).reshape(np.shape(ptrs.data))

    def watched_load(ptrs, mask, other, *rest, **named):
        safe = note("load", ptrs, mask, other is not None)
        real = np.broadcast_to(mask.data, safe.shape) & safe
        out = load(ptrs, TensorHandle(real, mask.dtype), other, *rest, **named)
        if out.data.dtype.kind == "f":
            lost = ~safe & mask.data | (~mask.data if other is None else False)
            out = TensorHandle(np.where(lost, out.data.dtype.type(undefined), out.data), out.dtype)
        return out

    def watched_store(ptrs, value, mask, *rest, **named):
        safe = note("store", ptrs, mask, values=value)
        return store(ptrs, value, TensorHandle(np.broadcast_to(mask.data, safe.shape) & safe, mask.dtype), *rest, **named)

    def watched_atomic(op, ptr, val, mask, *rest, **named):
        safe = note("atomic", ptr, mask)
        return atomic(op, ptr, val, TensorHandle(np.broadcast_to(mask.data, safe.shape) & safe, mask.dtype), *rest, **named)

    def watched_dot(a, b, *rest, **named):
        trace.launches[-1].dots.append((a.data.shape[-2], b.data.shape[-1], a.data.shape[-1], _line(here)[0]))
        return dot(a, b, *rest, **named)

    def watched_run(kernel, *args, grid, warmup, **kwargs):
        given = dict(zip(kernel.arg_names, args, strict=False)) | kwargs
        tensors = {name.removesuffix("_ptr"): x for name, x in given.items() if hasattr(x, "data_ptr")}
        regions = {name: Region.of(name, x) for name, x in tensors.items()}
        trace.launches.append(Launch(kernel.__name__, kernel.fn.__module__ or "", regions))
        result = run(kernel, *args, grid=grid, warmup=warmup, **kwargs)
        trace.launches[-1].grid = tuple(int(n) for n in interpreter_builder.grid_dim)
        return result

    try:
        for name, method in zip(SIGNATURES, (watched_load, watched_store, watched_atomic, watched_dot), strict=True):
            setattr(interpreter_builder, name, method)
        InterpretedFunction.run = watched_run
        yield trace
    finally:
        for name in SIGNATURES:
            delattr(interpreter_builder, name)
        InterpretedFunction.run = run


def _line(triton_folder: str) -> tuple[int, str]:
    """Line number and text of the innermost frame that is neither ours nor Triton's: the learner's line."""
    frame = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((triton_folder, str(Path(__file__)))):
        frame = frame.f_back
    return (frame.f_lineno, linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()) if frame else (0, "")
