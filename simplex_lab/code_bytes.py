"""Python's own standard library as a text to predict: its bytes, split by file into training and validation. Nothing is downloaded."""

from __future__ import annotations

import functools
import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from simplex_lab.tasks import Task

LEFT_OUT = ("site-packages", "test", "tests", "idle_test", "__pycache__")
HELD_OUT = 10  # one file in so many is kept for validation


@dataclass(frozen=True)
class CodeBytes(Task):
    """``n`` bytes in a row from one of the library's files; the label of a position is the next byte.

    The text differs a little from one Python release to the next: records name theirs.
    """

    n: int
    vocabulary = 256
    classes = 256

    def draw(self, batch: int, generator: torch.Generator) -> Int[Tensor, "B n+1"]:
        """``batch`` pieces of the training files, each with the byte behind it."""
        return self._pieces("train", batch, generator)

    def labelled(self, drawn: Int[Tensor, "B n+1"]) -> tuple[Int[Tensor, "B n"], Int[Tensor, "B n"]]:
        return drawn[:, :-1], drawn[:, 1:]

    def held_out(self, batch: int, generator: torch.Generator) -> tuple[Int[Tensor, "B n"], Int[Tensor, "B n"]]:
        """The same from files that are never trained on."""
        return self.labelled(self._pieces("validation", batch, generator))

    def _pieces(self, split: str, batch: int, generator: torch.Generator):
        text = corpus(split)
        at = torch.randint(len(text) - self.n, (batch,), generator=generator)[:, None] + torch.arange(self.n + 1)
        return text[at].long()


@functools.cache
def corpus(split: str) -> Tensor:
    """All bytes of the files of a split, one after the other, in the order of their names."""
    text = b"".join(path.read_bytes() for path in files(split))
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def files(split: str) -> list[Path]:
    """The files of ``"train"`` or ``"validation"``; a hash of its name decides where a file belongs.

    Raises:
        ValueError: another split.
    """
    if split not in ("train", "validation"):
        raise ValueError(f"split={split!r}: 'train' or 'validation'")
    root = Path(sysconfig.get_paths()["stdlib"])
    found = sorted(p for p in root.rglob("*.py") if not set(p.relative_to(root).parts[:-1]) & set(LEFT_OUT))
    return [p for p in found if _kept_apart(p.relative_to(root).as_posix()) == (split == "validation")]


def _kept_apart(name: str) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % HELD_OUT == 0
