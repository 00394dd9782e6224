"""The process of a submission: run its cells, keep the functions that they define, call them with what the grader sends.

Started as ``python -m simplex_lab.grading.child IN OUT``, two file descriptors. Nothing here is a secret, and nothing here decides:
whatever a submission does to this process, the grader compares numbers in another one.
"""

from __future__ import annotations

import ast
import functools
import importlib.abc
import inspect
import linecache
import os
import sys
import types
from types import SimpleNamespace

CELL = "<cell {}>"


class _Hidden(importlib.abc.MetaPathFinder):
    """While the notebook runs, ``simplex_lab.checks`` is what this module puts in its place, and the chapters' answers are not there."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("simplex_lab.checks.chapter"):
            raise ModuleNotFoundError(f"{name} is not there while a submission is graded", name=name)
        return None


class Child:
    def __init__(self, read, write):
        from simplex_lab.grading import wire
        from simplex_lab.grading.sandbox import Limits

        self.wire, self.read, self.write, self.limits = wire, read, write, Limits
        self.module = types.ModuleType("__main__")
        self.own: dict[str, object] = {}  # entry: the function that a cell of the notebook defined last

    def send(self, value: object) -> None:
        self.write(self.wire.pack(value))

    def receive(self) -> dict:
        return self.wire.unpack(self.read)

    # --- the notebook ------------------------------------------------------------------------------------------------

    def run(self, cells: list[str], entries: list[str], seconds: float) -> None:
        """Execute every cell as a notebook would, whatever the cells before it did; tell the grader what each came to."""
        from simplex_lab.checks.call import STUB, _deadline, _TooSlow

        sys.modules["__main__"] = self.module
        self.module.__dict__.update(get_ipython=lambda: _Shell(), display=lambda *_, **__: None)
        self.module.__dict__.update(dict.fromkeys(entries, _nobody))  # a missing answer does not break the cells that build on it
        for n, source in enumerate(cells, 1):
            self.send({"cell": n})
            trouble = ""
            try:
                code = self.compiled(source, n)
                with _deadline(seconds):
                    exec(code, self.module.__dict__)
            except _TooSlow:
                trouble = f"still running after {seconds:g} s"
            except NotImplementedError:
                trouble = STUB[0]
            except BaseException as error:  # SystemExit and KeyboardInterrupt, too: the next cell runs
                trouble = f"{type(error).__name__}: {error}"[:300]
            for entry in entries:
                if (cell := _cell_of(fn := self.module.__dict__.get(entry))) and cell == n:
                    self.own[entry] = fn
            self.send({"cell": n, "trouble": trouble})
        self.send({"own": sorted(self.own)})

    def compiled(self, source: str, n: int):
        from IPython.core.inputtransformer2 import TransformerManager

        name, source = CELL.format(n), TransformerManager().transform_cell(source)
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        return compile(ast.parse(source, name), name, "exec")

    # --- what the grader asks ----------------------------------------------------------------------------------------

    def serve(self) -> None:
        while True:
            asked = self.receive()
            if "call" in asked:
                self.call(asked)
            elif "check" in asked:
                self.check(asked)
            else:
                return

    def call(self, asked: dict) -> None:
        """One call with the grader's inputs, in halos and canaries as a check makes it; the outcome goes back in its words."""
        import torch

        from simplex_lab.checks.call import call
        from simplex_lab.checks.spec import Case

        exercise, fn = SimpleNamespace(**asked["exercise"]), self.own[asked["call"]]
        if "plain" in asked:
            self.send({"value": fn(**asked["args"])})
            return
        case = Case(asked["label"], asked["args"])
        like = torch.empty(asked["shape"], device="meta")  # all that a call may know of the answer
        outcome = call(exercise, fn, case, like, strided=asked["strided"])
        told = {name: getattr(outcome, name) for name in ("value", "trouble", "says", "printed", "changed", "strayed")}
        self.send(told | {"kernels": outcome.seen.kernels if outcome.seen else []})

    def check(self, asked: dict) -> None:
        """The whole check, in this process, for what only this process sees: accesses of a kernel, tensors on the way."""
        shown()
        from simplex_lab import checks

        result = checks.run(asked["check"], self.own[asked["entry"]], seed=asked["seed"])
        self.send({name: getattr(result, name) for name in ("passed", "rung", "diagnosis", "says", "where", "worst")})

    def checkpoint(self, id: str, fn=None):
        """In place of the course's: a function that asks the grader, who lends every answer but that of the exercise in question."""

        def lent(*args, **named):
            self.send({"lend": str(id), "args": args, "named": named})
            answer = self.receive()
            if "refused" in answer:
                raise RuntimeError(answer["refused"])
            if answer["writes"] is None:
                return answer["value"]
            out = named.get(answer["writes"], args[-1] if args else None)
            out.copy_(answer["value"])
            return None

        return lent


def _nobody(*_, **__):
    raise NotImplementedError


class _Shell:
    """Magics and shell commands of a notebook do nothing here."""

    def __getattr__(self, name):
        return lambda *_, **__: None


def _cell_of(fn: object) -> int:
    """The number of the cell that defined ``fn``, below whatever it is wrapped into; 0 if none did."""
    for _ in range(20):
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        else:
            break
    if inspect.ismethod(fn):
        fn = fn.__func__
    if not isinstance(fn, types.FunctionType) and callable(fn) and not isinstance(fn, type):
        fn = type(fn).__call__
    name = getattr(getattr(fn, "__code__", None), "co_filename", "")
    return int(name[6:-1]) if name.startswith("<cell ") and name[6:-1].isdigit() else 0


def hide(child: Child) -> None:
    """Put a harmless ``simplex_lab.checks`` in place; :func:`shown` undoes it."""
    import simplex_lab
    import simplex_lab.checks.call  # what calls need, loaded before it is hidden

    real = sys.modules.pop("simplex_lab.checks")
    stand_in = types.ModuleType("simplex_lab.checks")
    stand_in.__path__ = real.__path__
    stand_in.check = stand_in.hint = stand_in.card = lambda *_, **__: None
    stand_in.checkpoint = child.checkpoint
    sys.modules["simplex_lab.checks"] = simplex_lab.checks = stand_in
    sys.meta_path.insert(0, _Hidden())


def shown() -> None:
    import importlib

    import simplex_lab

    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Hidden)]
    if not hasattr(sys.modules.get("simplex_lab.checks"), "run"):
        del sys.modules["simplex_lab.checks"]
        simplex_lab.checks = importlib.import_module("simplex_lab.checks")


def main(into: int, out: int) -> None:
    import torch

    torch.set_num_threads(1)

    def read(n: int) -> bytes:
        parts = []
        while n:
            part = os.read(into, n)
            if not part:
                os._exit(0)  # the grader is gone
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def write(data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(out, left) :]

    child = Child(read, write)
    hide(child)
    task = child.receive()
    child.run(task["cells"], task["entries"], task["seconds"])
    child.serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
