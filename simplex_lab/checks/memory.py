"""Halo and canary: tensors laid into a larger buffer, so that a read or write outside of them shows in the numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

CANARY = 12345.678
PAD = 64


@dataclass
class Guarded:
    """``tensor`` is contiguous and lies in the middle of ``buffer``; ``fill`` is what the halo around it held at first."""

    tensor: torch.Tensor
    buffer: torch.Tensor
    fill: float

    def halo_intact(self) -> bool:
        """True when nothing was written before the first or behind the last element of ``tensor``."""
        expected = torch.full((PAD,), self.fill, dtype=self.buffer.dtype, device=self.buffer.device)
        return torch.equal(self.buffer[:PAD].nan_to_num(0.5), expected.nan_to_num(0.5)) and torch.equal(
            self.buffer[-PAD:].nan_to_num(0.5), expected.nan_to_num(0.5)
        )


def in_halo(x: torch.Tensor, fill: float = float("nan")) -> Guarded:
    """A copy of ``x`` with ``PAD`` elements of ``fill`` on both sides: a read beyond the tensor brings NaN into the result."""
    buffer = torch.full((x.numel() + 2 * PAD,), fill, dtype=x.dtype, device=x.device)
    inside = buffer[PAD : PAD + x.numel()].view(x.shape)
    inside.copy_(x)
    return Guarded(inside, buffer, fill)


def blank_output(shape, dtype, device="cpu") -> Guarded:
    """An output that starts as NaN inside a canary: what is never written stays NaN, what is written outside kills the canary."""
    return in_halo(torch.full(tuple(shape), float("nan"), dtype=dtype, device=device), fill=CANARY)
