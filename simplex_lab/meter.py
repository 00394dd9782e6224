"""Measure the memory that a piece of PyTorch code needs, tensor by tensor, on any device."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Memory(NamedTuple):
    """Bytes of tensors alive at the worst moment, and of the largest single tensor."""

    peak: int
    largest: int


class _Meter(TorchDispatchMode):
    """Follows every storage that an operation creates until it is freed."""

    def __init__(self):
        super().__init__()
        self.alive, self.given, self.now, self.peak, self.largest = set(), set(), 0, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for x in tree_leaves((args, kwargs or {})):
            if isinstance(x, torch.Tensor) and x.untyped_storage()._cdata not in self.alive:
                self._spare(x.untyped_storage())
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(x, torch.Tensor):
                self._follow(x.untyped_storage())
        return out

    def _follow(self, storage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.alive or key in self.given:
            return
        self.alive.add(key)
        self.now += size
        self.peak, self.largest = max(self.peak, self.now), max(self.largest, size)
        weakref.finalize(storage, self._free, key, size)

    def _spare(self, storage) -> None:
        """Inputs were there before: neither they nor views of them count."""
        key = storage._cdata
        if key not in self.given:
            self.given.add(key)
            weakref.finalize(storage, self.given.discard, key)

    def _free(self, key, size) -> None:
        self.alive.discard(key)
        self.now -= size


def memory_of(fn: Callable[[], object]) -> Memory:
    """Run ``fn()`` and measure the tensors it creates (its inputs do not count)."""
    with _Meter() as meter:
        fn()
    return Memory(meter.peak, meter.largest)
