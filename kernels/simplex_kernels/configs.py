"""Tile sizes, chosen by a small table instead of a search: no learner waits for a tuner.

Each entry was the best of a handful tried on an H200 (bf16); the reasons are beside it. ``rows`` are query positions x heads, ``block_k``
second keys, ``block_j`` first keys, ``positions`` query positions that one program of a window kernel walks over.
"""

from dataclasses import dataclass

import triton

from simplex_kernels.problem import Problem

SCRATCH_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Tile:
    rows: int = 64
    block_k: int = 64
    block_j: int = 16
    warps: int = 4
    stages: int = 1
    registers: int | None = None

    def packing(self, G: int) -> dict[str, int]:
        """``POSITIONS x HEADS = rows``: as many of the group's heads as fit (rounded up to a power of two), then positions."""
        heads = min(triton.next_power_of_2(G), self.rows)
        return {"POSITIONS": self.rows // heads, "HEADS": heads}

    @property
    def options(self) -> dict:
        return compiler_options(self)


@dataclass(frozen=True)
class WindowTile:
    positions: int
    warps: int
    stages: int = 1
    registers: int | None = None

    @property
    def options(self) -> dict:
        return compiler_options(self)


def compiler_options(tile: Tile | WindowTile) -> dict:
    limit = {} if tile.registers is None else {"maxnreg": tile.registers}
    return {"num_warps": tile.warps, "num_stages": tile.stages} | limit


# fp32 dots in IEEE arithmetic run on CUDA cores: small tiles keep the unrolled code short.
EXACT = Tile(rows=16, block_k=16, block_j=16, warps=4)


def forward(p: Problem) -> Tile:
    if p.q.dtype.itemsize > 2:
        return EXACT
    if p.q.shape[1] * p.group <= 16:  # a decode step
        return Tile(rows=16, block_k=64, warps=4)
    # 64 rows fill one warpgroup and leave room for two programs on a multiprocessor, which hide each other's waits. 128 second keys halve
    # the share of q * k1_j and of the update of the accumulator; at D <= 64 the smaller tile leaves registers for a third program.
    if p.block_d == 128:
        return Tile(rows=64, block_k=128)
    return Tile(rows=64, block_k=64, registers=168)


def backward_query(p: Problem) -> Tile:
    if p.q.dtype.itemsize > 2:
        return EXACT
    return Tile(rows=64, block_k=128 if p.block_d == 128 and not p.determinant else 64)


def backward_keys(p: Problem) -> Tile:
    if p.q.dtype.itemsize > 2:
        return EXACT
    # Two accumulators [block_k, D] stay in registers over the whole inner loop: with 32 rows a step that loop does not spill. Neighbouring
    # programs read nearly the same queries; with short blocks of first keys these are still in the L2 cache (8 was 6% faster than 16).
    return Tile(rows=32, block_k=64, block_j=8, stages=3)


def window(p: Problem) -> bool:
    """Do the window kernels serve this problem better? With small windows and groups, other tiles would mostly hold unseen pairs."""
    small = max(p.w1, p.w2) <= 64 and min(p.w1, p.w2) <= 32 and p.block_d <= 64 and p.group <= 4
    return small and not p.determinant and p.q.dtype.itemsize <= 2


def forward_window(p: Problem) -> WindowTile:
    # One head: one warp needs no barrier, and the next position's keys are fetched meanwhile. Several heads: 64 rows and more are the
    # share of four warps. Short walks give enough programs to even out the load.
    return WindowTile(positions=32, warps=1, stages=2) if p.group == 1 else WindowTile(positions=16, warps=4, stages=3)


def backward_window(p: Problem) -> WindowTile:
    # Four warps are the warpgroup of a matrix instruction, and their registers hold the four accumulators. One head has too little to do
    # at a position to hide the next one's loads, which are fetched ahead.
    # Longer walks write fewer partial sums (windows of neighbouring blocks overlap), as long as there are programs enough.
    B, S, _, _, Hkv, _ = p.sizes
    return WindowTile(positions=128 if B * S * Hkv >= 2**17 else 64, warps=4, stages=2 if p.group == 1 else 1)
