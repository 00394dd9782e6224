"""One call of the operation as the launchers see it: tensors, windows, options, and which key is tiled."""

import math
from dataclasses import dataclass, replace

import torch
import triton
from torch import Tensor

LOG2E = math.log2(math.e)


@dataclass(frozen=True)
class Problem:
    """The five inputs and the options, checked; ``w1 <= w2`` once it is :meth:`oriented`."""

    q: Tensor
    k1: Tensor
    k2: Tensor
    v1: Tensor
    v2: Tensor
    w1: int
    w2: int
    scale: float
    determinant: int = 0  # 0 trilinear, 1 determinant, -1 determinant of traded places
    k1_bias: float = 0.0
    k2_bias: float = 0.0
    v1_bias: float = 0.0
    v2_bias: float = 0.0
    starts: Tensor | None = None  # [B, S] int32, first and last position of each position's document
    ends: Tensor | None = None
    lengths: Tensor | None = None  # [B] int32, valid entries of a cache

    @property
    def traded(self) -> bool:
        """The operation is unchanged when ``(k1, v1, w1)`` and ``(k2, v2, w2)`` trade places; the kernels tile the larger window."""
        return self.w1 > self.w2

    def oriented(self) -> "Problem":
        """This problem, or the one with the keys' places traded, so that ``w1 <= w2``."""
        if not self.traded:
            return self
        return replace(
            self,
            k1=self.k2,
            k2=self.k1,
            v1=self.v2,
            v2=self.v1,
            w1=self.w2,
            w2=self.w1,
            determinant=-self.determinant,
            k1_bias=self.k2_bias,
            k2_bias=self.k1_bias,
            v1_bias=self.v2_bias,
            v2_bias=self.v1_bias,
        )

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """``B, Sq, Skv, H, Hkv, D``."""
        B, Sq, H, D = self.q.shape
        return B, Sq, self.k1.shape[1], H, self.k1.shape[2], D

    @property
    def group(self) -> int:
        """``G``: query heads that share a key/value head."""
        return self.q.shape[2] // self.k1.shape[2]

    @property
    def block_d(self) -> int:
        return triton.next_power_of_2(self.q.shape[3])

    @property
    def scale_log2(self) -> float:
        return self.scale * LOG2E

    @property
    def biases(self) -> tuple[float, float, float, float]:
        return self.k1_bias, self.k2_bias, self.v1_bias, self.v2_bias

    @property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        """Strides ``(b, s, h)`` of ``q, k1, k2, v1, v2``; channels are contiguous."""
        return tuple(x.stride()[:3] for x in (self.q, self.k1, self.k2, self.v1, self.v2))

    @property
    def constants(self) -> dict:
        """What every kernel takes as compile-time constants."""
        return {"G": self.group, "D": self.q.shape[3], "BLOCK_D": self.block_d}

    def with_biases_added(self) -> "Problem":
        """This problem without biases: they are added to copies of the keys and values that have one. The window kernels need this."""
        if not any(self.biases):
            return self
        names = ("k1", "k2", "v1", "v2")
        added = {name: getattr(self, name) + bias if bias else getattr(self, name) for name, bias in zip(names, self.biases, strict=True)}
        return replace(self, **added, **{f"{name}_bias": 0.0 for name in names})

    @staticmethod
    def padded(w: int) -> int:
        """The window as a tile's width: a power of two, at least the 16 that a matrix product needs."""
        return max(16, triton.next_power_of_2(w))


def document_bounds(documents: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """First and last position ``[B, S]`` (int32) of the document that each position lies in: a run of equal numbers."""
    if documents is None:
        return None, None
    B, S = documents.shape
    at = torch.arange(S, device=documents.device, dtype=torch.int32).expand(B, S)
    new = torch.ones(B, S, dtype=torch.bool, device=documents.device)
    new[:, 1:] = documents[:, 1:] != documents[:, :-1]
    last = new.roll(-1, 1)
    last[:, -1] = True
    starts = torch.where(new, at, 0).cummax(1).values
    ends = torch.where(last, at, S - 1).flip(1).cummin(1).values.flip(1)
    return starts.int().contiguous(), ends.int().contiguous()


def rows_ready(x: Tensor) -> Tensor:
    """``x`` if the kernels can read it as it lies, else a contiguous copy.

    They need contiguous channels, and offsets within a tile of 128 positions and all heads that fit 32 bits; batch and position offsets
    are computed in 64 bits.
    """
    within = 128 * abs(x.stride(1)) + x.shape[2] * abs(x.stride(2))
    return x if x.stride(3) == 1 and within < 2**31 else x.contiguous()
