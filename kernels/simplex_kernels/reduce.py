"""Sums of the partial gradients that the keys' side leaves behind: one owner for each output row, terms always in the same order.

Formula: ``dk_x = scale * sum_c sum_n part[c, n, 0, x - (c * step + offset)]``, ``dv_x`` the same from ``part[c, n, 1]`` without the
scale, over the blocks ``c`` whose frame of ``width`` positions from ``c * step + offset`` on holds ``x``, and over the ``copies`` of
each block.

Shapes: ``part [blocks, copies, 2, width, D]``; ``dk, dv [B, S, Hkv, D]``. Blocks are counted over batch, key head and position; a launch
adds the blocks ``first`` to ``last - 1``, the first of which lies at the start of ``part``.
"""

import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.problem import Problem

ROWS = 16


@triton.jit(do_not_specialize=["first", "last", "S", "step", "offset", "copies", "width"])
def reduce_kernel(
    part_ptr, dk_ptr, dv_ptr, first, last, S, Hkv, step, offset, copies, width, scale,
    D: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, ACCUMULATE: tl.constexpr,
):  # fmt: skip
    ACC: tl.constexpr = part_ptr.dtype.element_ty
    blocks = tl.cdiv(S, step)
    row_blocks = tl.cdiv(S, ROWS)
    bh = first // blocks + tl.program_id(0) // row_blocks
    x0 = tl.program_id(0) % row_blocks * ROWS
    x = x0 + tl.arange(0, ROWS)
    d = tl.arange(0, BLOCK_D)
    ok = (x < S)[:, None] & (d < D)[None, :]
    dk = tl.zeros([ROWS, BLOCK_D], ACC)
    dv = tl.zeros([ROWS, BLOCK_D], ACC)
    lo = max(max(x0 - offset - width + step, 0) // step, first - bh * blocks)
    hi = min(min(max(x0 + ROWS - 1 - offset, 0) // step + 1, blocks), last - bh * blocks)
    for c in range(lo, hi):
        slot = x - (c * step + offset)
        inside = ok & ((slot >= 0) & (slot < width))[:, None]
        for n in range(0, copies):
            at = part_ptr + (tl.cast(bh * blocks + c - first, tl.int64) * copies + n) * (2 * width * D) + slot[:, None] * D + d[None, :]
            dk += tl.load(at, mask=inside, other=0.0)
            dv += tl.load(at + width * D, mask=inside, other=0.0)
    dk *= scale
    out = ((tl.cast(bh // Hkv, tl.int64) * S + x) * Hkv + bh % Hkv)[:, None] * D + d[None, :]
    if ACCUMULATE:
        if lo < hi:
            tl.store(dk_ptr + out, dk + tl.load(dk_ptr + out, mask=ok, other=0.0), mask=ok)
            tl.store(dv_ptr + out, dv + tl.load(dv_ptr + out, mask=ok, other=0.0), mask=ok)
    else:
        tl.store(dk_ptr + out, dk.to(dk_ptr.dtype.element_ty), mask=ok)
        tl.store(dv_ptr + out, dv.to(dv_ptr.dtype.element_ty), mask=ok)


def launch(
    p: Problem, part: Tensor, dk: Tensor, dv: Tensor,
    first: int, last: int, step: int, offset: int, copies: int, width: int, accumulate: bool,
) -> None:  # fmt: skip
    """Write ``dk`` and ``dv``, or add to them (``accumulate``) when the blocks come in several chunks."""
    _, S, _, _, Hkv, D = p.sizes
    blocks = triton.cdiv(S, step)
    heads = (last - 1) // blocks - first // blocks + 1
    reduce_kernel[(heads * triton.cdiv(S, ROWS),)](
        part, dk, dv, first=first, last=last, S=S, Hkv=Hkv, step=step, offset=offset, copies=copies, width=width, scale=p.scale,
        D=D, BLOCK_D=p.block_d, ROWS=ROWS, ACCUMULATE=accumulate, num_warps=2,
    )  # fmt: skip
