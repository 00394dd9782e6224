"""What a kernel touched: every load, store and atomic of every program, in order, and what is wrong with them.

Data only, without Triton; ``tracer.py`` fills it. *Offsets* are counted in elements from the first element of the tensor they aim at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

MIN_DOT = 16  # elements that a matrix product must sum over at least (the middle axis), on NVIDIA GPUs


@dataclass(frozen=True)
class Region:
    """A tensor that a launch was given: its name in the kernel, its place in memory (bytes), and where its own elements are."""

    name: str
    start: int
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    buffer: tuple[int, int]  # the storage it lies in: safe to touch, though not all of it is the tensor

    @classmethod
    def of(cls, name: str, x) -> Region:
        """The region of a tensor."""
        storage = x.untyped_storage()
        whole = (storage.data_ptr(), storage.data_ptr() + storage.nbytes())
        return cls(name, x.data_ptr(), x.element_size(), tuple(x.shape), tuple(x.stride()), whole)

    def offsets(self, addresses: np.ndarray) -> np.ndarray:
        return (addresses.astype(np.int64) - self.start) // self.itemsize

    def holds(self, offsets: np.ndarray) -> np.ndarray:
        """Which of these offsets are elements of the tensor?"""
        if self.dense:
            return (offsets >= 0) & (offsets < self.elements.size)
        return np.isin(offsets, self.elements)

    @cached_property
    def dense(self) -> bool:
        return np.array_equal(np.sort(self.elements), np.arange(self.elements.size))

    @cached_property
    def elements(self) -> np.ndarray:
        """The offset of each element, in the order of the tensor: ``arange(n)`` if it is contiguous."""
        at = np.zeros(self.shape, dtype=np.int64)
        for axis, (size, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            at += np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(self.shape))]) * stride
        return at.ravel()

    def near(self, addresses: np.ndarray) -> np.ndarray:
        return (addresses >= self.buffer[0]) & (addresses < self.buffer[1])


@dataclass(frozen=True)
class Access:
    """One load, store or atomic of one program: a lane for each element."""

    program: tuple[int, int, int]
    op: str  # load, store or atomic
    region: Region
    offsets: np.ndarray
    active: np.ndarray  # the lanes that the mask leaves on
    inside: np.ndarray  # of the active ones, those that hit an element of the tensor
    given_other: bool  # masked lanes get a value of the caller's choice
    clash: bool  # two active lanes of one store write different numbers to one element
    line: int
    code: str

    @property
    def name(self) -> str:
        return self.region.name

    @property
    def outside(self) -> np.ndarray:
        """Offsets of the active lanes that miss the tensor."""
        return self.offsets[self.active & ~self.inside]


@dataclass
class Launch:
    """One launch of a kernel."""

    kernel: str
    module: str  # where the kernel was defined
    regions: dict[str, Region]
    grid: tuple[int, ...] = ()
    accesses: list[Access] = field(default_factory=list)
    dots: list[tuple[int, int, int, int]] = field(default_factory=list)  # M, N, K and the line of each matrix product

    def aimed_at(self, addresses: np.ndarray, code: str = "") -> Region | None:
        """The tensor whose pointer the line of ``code`` names, if it names one; else the one in whose storage most of the addresses lie.

        Failing that the one nearest to the first address; None if the launch has no tensor.
        """
        named = [r for name, r in self.regions.items() if re.search(rf"\b{name}_ptr\b", code)]
        if len(named) == 1:
            return named[0]
        hits = {name: int(r.near(addresses).sum()) for name, r in self.regions.items()}
        best = max(hits, key=hits.get, default=None)
        if best is None or hits[best]:
            return self.regions.get(best)
        return min(self.regions.values(), key=lambda r: abs(int(addresses[0]) - r.start))

    def loaded(self, name: str) -> int:
        """Elements loaded from a tensor, repetitions counted."""
        return sum(int(a.inside.sum()) for a in self.accesses if a.name == name and a.op == "load")


@dataclass
class Trace:
    """The launches between two points of a program."""

    launches: list[Launch] = field(default_factory=list)

    @property
    def accesses(self) -> list[Access]:
        return [a for launch in self.launches for a in launch.accesses]

    def written(self, start: int, size: int) -> np.ndarray:
        """Addresses of the elements stored to within ``size`` bytes from ``start`` on, sorted, each once."""
        at = [a.region.start + a.offsets[a.inside] * a.region.itemsize for a in self.accesses if a.op != "load"]
        found = np.unique(np.concatenate(at)) if at else np.zeros(0, dtype=np.int64)
        return found[(found >= start) & (found < start + size)]


@dataclass(frozen=True)
class Fault:
    """Something that may pass on a CPU and not on a GPU. ``name`` is stable; ``says`` and ``asks`` are for people."""

    name: str
    says: str
    asks: str


def faults(trace: Trace) -> Iterator[Fault]:
    """What is wrong with the accesses: beyond a tensor's end, two programs at one element, a product too small for a tensor core."""
    for launch in trace.launches:
        yield from _outside(launch)
        yield from _races(launch)
        for M, N, K, line in launch.dots:
            if K < MIN_DOT:
                says = f"line {line} multiplies [{M}, {K}] by [{K}, {N}]: a GPU's tl.dot needs a middle axis of at least {MIN_DOT}"
                yield Fault("small-dot", says, f"pad the middle axis to {MIN_DOT} with zeros, or use a product and tl.sum")
                break


def differ(offsets: np.ndarray, values: np.ndarray) -> bool:
    """Does one offset occur with different values?"""
    order = np.argsort(offsets, kind="stable")
    same = np.diff(offsets[order]) == 0
    return bool((same & (values[order][1:] != values[order][:-1])).any())


def _outside(launch: Launch) -> Iterator[Fault]:
    for ops, name, verb in ((("load",), "reads-outside", "reads"), (("store", "atomic"), "writes-outside", "writes")):
        bad = [a for a in launch.accesses if a.op in ops and a.outside.size]
        if bad:
            a = bad[0]
            size = int(np.prod(a.region.shape))
            where = f"{_range(a.outside)} of `{a.name}`, which has {size} elements"
            says = f"program {_program(a)} {verb} {where}: line {a.line}, `{a.code}`"
            yield Fault(name, says, _asks_outside(a))


def _asks_outside(a: Access) -> str:
    """What to look at, by where the offsets lie and whether anything masks them."""
    low, high = int(a.outside.min()), int(a.outside.max())
    if low < 0:
        return "that is in front of the tensor: which index is negative for the first programs?"
    if not a.region.dense and high <= a.region.elements.max():
        return "these lie between its rows, which are further apart than they are long: which stride does the offset use?"
    if " and " in a.code:
        return "`and` between two masks keeps one of them: write `&`, each condition in parentheses"
    if a.active.size == 1 or a.active.all():
        return "nothing masks it there: does the loop, the block or the stride fit the tensor?"
    return "the mask leaves these lanes on: is it the mask that is wrong, or an index or a stride in the offset?"


def _races(launch: Launch) -> Iterator[Fault]:
    for name in launch.regions:
        mine = [a for a in launch.accesses if a.name == name and a.inside.any()]
        writes = [a for a in mine if a.op != "load"]
        if not writes:
            continue
        for a in writes:
            if a.clash:
                says = f"two lanes of one store write different numbers to the same element of `{name}`: line {a.line}, `{a.code}`"
                yield Fault("race", says, "which lane wins is up to the hardware. What should be there?")
                return
        least = min(int(a.offsets[a.inside].min()) for a in mine)
        most = max(int(a.offsets[a.inside].max()) for a in mine)
        owner = np.full(most - least + 1, -1)
        atomic = np.zeros(most - least + 1, dtype=bool)
        programs = {p: n for n, p in enumerate(dict.fromkeys(a.program for a in launch.accesses))}
        for a in writes:
            at, me = a.offsets[a.inside] - least, programs[a.program]
            other = (owner[at] != -1) & (owner[at] != me) & ~(atomic[at] & (a.op == "atomic"))
            if other.any():
                yield _race(launch, a, owner[at][other][0], at[other][0] + least, programs, "also writes")
                return
            owner[at], atomic[at] = me, a.op == "atomic"
        for a in (a for a in mine if a.op == "load"):
            at, me = a.offsets[a.inside] - least, programs[a.program]
            other = (owner[at] != -1) & (owner[at] != me)
            if other.any():
                yield _race(launch, a, owner[at][other][0], at[other][0] + least, programs, "reads")
                return


def _race(launch: Launch, a: Access, owner: int, offset: int, programs: dict, verb: str) -> Fault:
    first = next(p for p, n in programs.items() if n == owner)
    says = f"program {_index(first)} writes element {offset} of `{a.name}` and program {_program(a)} {verb} it: line {a.line}, `{a.code}`"
    return Fault("race", says, "programs run in any order, and at once: who owns each element of the output?")


def _program(a: Access) -> str:
    return _index(a.program)


def _index(program: tuple[int, int, int]) -> str:
    """``3`` or ``(3, 1)``: without the axes at the end that are 0."""
    x, y, z = program
    return f"({x}, {y}, {z})" if z else f"({x}, {y})" if y else str(x)


def _range(offsets: np.ndarray) -> str:
    low, high = int(offsets.min()), int(offsets.max())
    return f"offset {low}" if low == high else f"offsets {low} to {high}"
