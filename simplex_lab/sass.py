"""Reading what the compiler made of a kernel: SASS, the instructions of NVIDIA's chips, as ``cuobjdump -sass`` lists them.

A line is ``/*0a40*/ @!P0 LDL R4, [R1+0x10] ;``: address, a predicate or none, the name with its modifiers, operands. A loop ends with a
branch to an earlier address. Source: NVIDIA, CUDA Binary Utilities, section 4 (instruction sets).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LISTINGS = Path(__file__).parent / "listings"
LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(@!?U?P[\dT]\s+)?([A-Z][A-Za-z0-9_.]*)\s*([^;]*);")
UNITS = {
    "products": ("HGMMA",),
    "special functions": ("MUFU",),
    "arithmetic": ("FFMA", "FADD", "FMUL", "FMNMX", "HMUL2", "HFMA2", "F2FP", "FSEL"),
    "whole numbers": ("IADD3", "IMAD", "LEA", "LOP3", "SHF", "PRMT", "ISETP", "MOV", "SEL"),
    "shared memory": ("LDS", "LDSM", "STS", "STSM", "SHFL"),
    "global memory": ("LDG", "STG", "LDGSTS"),
    "reloads and spills": ("LDL", "STL"),
    "barriers": ("BAR", "WARPGROUP", "WARPSYNC"),
}


@dataclass(frozen=True)
class Instruction:
    """``name`` is the first word, ``FADD`` of ``FADD.FTZ``; ``text`` is all but the predicate, which may be empty."""

    address: int
    predicate: str
    name: str
    text: str

    def __str__(self) -> str:
        """The line of a listing."""
        return " ".join(f"/*{self.address:04x}*/ {self.predicate} {self.text} ;".split())

    @property
    def target(self) -> int | None:
        """Where a branch goes; None if it is none."""
        found = re.search(r"0x([0-9a-f]+)\s*$", self.text)
        return int(found.group(1), 16) if self.name == "BRA" and found else None


def parse(listing: str) -> list[Instruction]:
    """The instructions of a listing; lines of other kinds, such as encodings, are passed over."""
    return [
        Instruction(int(address, 16), predicate.strip(), name.split(".")[0], f"{name} {operands}".strip())
        for address, predicate, name, operands in LINE.findall(listing)
    ]


def spans(instructions: Sequence[Instruction]) -> list[tuple[int, int]]:
    """Of each loop the numbers of its first and last instruction: the target of a branch backwards, and the branch."""
    at = {x.address: n for n, x in enumerate(instructions)}
    return [(at[x.target], n) for n, x in enumerate(instructions) if x.target in at and x.target <= x.address]


def loops(instructions: Sequence[Instruction]) -> list[list[Instruction]]:
    """The innermost loops."""
    found = spans(instructions)
    inner = [(a, b) for a, b in found if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in found)]
    return [list(instructions[a : b + 1]) for a, b in inner]


def mix(instructions: Sequence[Instruction]) -> dict[str, int]:
    """How many instructions each unit gets, ``{unit: number}`` in the order of ``UNITS``, and the rest."""
    names = Counter(x.name for x in instructions)
    found = {unit: sum(names[name] for name in of) for unit, of in UNITS.items()}
    return found | {"other": len(instructions) - sum(found.values())}


def recorded(kernel: str) -> tuple[str, str]:
    """``(usage, listing)`` of ``simplex_lab/listings/<kernel>.sass``: the compiler's line on registers, and the loop that does the work."""
    usage, listing = (LISTINGS / f"{kernel}.sass").read_text().split("\n", 1)
    return usage, listing
