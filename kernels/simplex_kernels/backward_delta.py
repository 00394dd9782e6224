"""Backward, first step: ``delta``, the part of a row's gradient that is the same for all its pairs.

Formula (eq. 16): ``delta_i = sum_d o_id do_id - dlse2_i / ln 2``, with the gradient ``dlse2`` of the log-sum-exp, usually absent.

Shapes: ``o, do [B, S, H, D]``, ``dlse2, delta [B, S, H]``; ``o``, ``dlse2`` and ``delta`` contiguous. Rows are counted over batch, position
and head. The kernels of larger windows compute ``delta`` on their way (``backward_query.py``); a window kernel meets each row alone, and
a sum over channels there would make every other thread wait.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.problem import Problem
from simplex_kernels.tiles import INV_LN2

ROWS = 32


@triton.jit(do_not_specialize=["S"])
def backward_delta_kernel(
    o_ptr, do_ptr, dlse2_ptr, delta_ptr, do_stride, S, H, rows, D: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, BLOCK_D)
    ok = row < rows
    mask = ok[:, None] & (d < D)[None, :]
    at_do = do_ptr + row // H // S * do_stride[0] + row // H % S * do_stride[1] + row % H * do_stride[2]
    o = tl.load(o_ptr + row[:, None] * D + d[None, :], mask=mask, other=0.0).to(delta_ptr.dtype.element_ty)
    do = tl.load(at_do[:, None] + d[None, :], mask=mask, other=0.0).to(delta_ptr.dtype.element_ty)
    delta = tl.sum(o * do, 1)
    if dlse2_ptr is not None:
        delta -= INV_LN2 * tl.load(dlse2_ptr + row, mask=ok, other=0.0)
    tl.store(delta_ptr + row, delta, mask=ok)


def launch(p: Problem, o: Tensor, do: Tensor, dlse2: Tensor | None) -> Tensor:
    """``delta [B, S, H]`` in fp32 (fp64 for fp64 inputs)."""
    B, S, _, H, _, D = p.sizes
    delta = torch.empty(B, S, H, dtype=torch.promote_types(o.dtype, torch.float32), device=o.device)
    rows = B * S * H
    backward_delta_kernel[(triton.cdiv(rows, ROWS),)](
        o, do, dlse2, delta, do.stride()[:3], S=S, H=H, rows=rows, D=D, BLOCK_D=p.block_d, ROWS=ROWS, num_warps=2,
    )  # fmt: skip
    return delta
