"""Backward, first step: ``delta``, the part of a row's gradient that is the same for all its pairs.

Formula (eq. 16): ``delta_i = sum_d o_id do_id - dlse2_i / ln 2``, with the gradient ``dlse2`` of the log-sum-exp, usually absent. A row
with a single pair gets ``delta_i = dP_i - dlse2_i / ln 2``: its softmax is constant (``tiles.row_delta``).

Shapes: ``o, do [B, S, H, D]``, values ``[B, S, Hkv, D]``, ``dlse2, delta [B, S, H]``; ``o``, ``dlse2`` and ``delta`` contiguous. Rows are
counted over batch, position and head. The kernels of larger windows compute ``delta`` on their way (``backward_query.py``); a window kernel
meets each row alone, and a sum over channels there would make every other thread wait.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.problem import Problem
from simplex_kernels.tiles import INV_LN2, row_delta

ROWS = 32


@triton.jit(do_not_specialize=["S", "w1", "w2"])
def backward_delta_kernel(
    o_ptr, v1_ptr, v2_ptr, do_ptr, dlse2_ptr, starts_ptr, delta_ptr, keys_delta_ptr, v1_stride, v2_stride, do_stride, S, H, rows, w1, w2,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, BLOCK_D)
    ok = row < rows
    mask = ok[:, None] & (d < D)[None, :]
    h = row % H
    i = row // H % S
    b = row // H // S
    o = tl.load(o_ptr + row[:, None] * D + d[None, :], mask=mask, other=0.0)
    do_rows = do_ptr + b * do_stride[0] + i * do_stride[1] + h * do_stride[2]
    do = tl.load(do_rows[:, None] + d[None, :], mask=mask, other=0.0)
    start = tl.zeros([ROWS], tl.int32)
    if starts_ptr is not None:
        start = tl.load(starts_ptr + b * S + i, mask=ok, other=0)
    own1 = b * v1_stride[0] + i * v1_stride[1] + h // G * v1_stride[2]
    own2 = b * v2_stride[0] + i * v2_stride[1] + h // G * v2_stride[2]
    own = own1[:, None] + d[None, :], own2[:, None] + d[None, :]
    # (a single truth value `|` a row of them is no mask in the interpreter of Triton 3.9)
    single = ok & (i == tl.where(w1 + w2 == 2, i, start))
    delta, keys_delta = row_delta(o, do, v1_ptr, v2_ptr, own, single, d < D, 0.0, 0.0, False, delta_ptr.dtype.element_ty)
    if dlse2_ptr is not None:
        through_lse2 = INV_LN2 * tl.load(dlse2_ptr + row, mask=ok, other=0.0)
        delta -= through_lse2
        keys_delta -= through_lse2
    tl.store(delta_ptr + row, delta, mask=ok)
    if keys_delta_ptr is not None:
        tl.store(keys_delta_ptr + row, keys_delta, mask=ok)


def launch(p: Problem, o: Tensor, do: Tensor, dlse2: Tensor | None, keys_delta: Tensor | None = None) -> Tensor:
    """``delta [B, S, H]`` in fp32 (fp64 for fp64 inputs); ``keys_delta``, if there is one, is filled with that of the keys' side."""
    B, S, _, H, _, _ = p.sizes
    delta = torch.empty(B, S, H, dtype=torch.promote_types(o.dtype, torch.float32), device=o.device)
    rows = B * S * H
    backward_delta_kernel[(triton.cdiv(rows, ROWS),)](
        o, p.v1, p.v2, do, dlse2, p.starts, delta, keys_delta, *p.strides[-2:], do.stride()[:3], S=S, H=H, rows=rows, w1=p.w1, w2=p.w2,
        **p.constants, ROWS=ROWS, num_warps=2,
    )  # fmt: skip
    return delta
