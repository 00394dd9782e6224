"""Forward for small windows: the whole window of pairs of a query, for all heads of a group, is one tile.

Formula and shapes as in ``forward.py``. There a tile holds many rows and walks over pairs; with windows of 32 x 32 and few heads it
would mostly hold pairs that its rows do not see. Here a program takes one query position at a time; the rows of a tile are the group's
heads x first keys, its columns second keys:

    s2 = (K1 * q_i) @ K2^T                  [HEADS W1, D] @ [D, W2]
    o  = sum_j (V2^T @ P^T)_j * V1_j        [D, W2] @ [W2, HEADS W1], then a sum over first keys

No pair is wasted but for the rounding of windows and groups to powers of two, and the softmax is complete in one step. The second
product lies transposed, so that the sum over first keys stays within a few lanes. Programs walk over consecutive positions, whose
windows overlap, so keys come from the L1 cache.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.configs import WindowTile
from simplex_kernels.problem import Problem
from simplex_kernels.tiles import load_seen


@triton.jit(do_not_specialize=["S", "w1", "w2"])
def forward_window_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, lse2_ptr, starts_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, S, Hkv, w1, w2, scale_log2,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr, W1: tl.constexpr,
    W2: tl.constexpr,
):  # fmt: skip
    ROWS: tl.constexpr = HEADS * W1
    blocks = tl.cdiv(S, POSITIONS)
    i_first = tl.program_id(0) % blocks * POSITIONS
    hkv = (tl.program_id(0) // blocks % Hkv).to(tl.int64)
    b = (tl.program_id(0) // blocks // Hkv).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    g = tl.arange(0, HEADS)
    in_g = (g < G)[:, None] & (d < D)[None, :]
    age1 = tl.arange(0, W1)
    age2 = tl.arange(0, W2)
    age_r = tl.arange(0, ROWS) % W1
    q_ptr += b * q_stride[0] + hkv * G * q_stride[2]
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]
    for i in range(i_first, min(i_first + POSITIONS, S)):
        start = 0
        if starts_ptr is not None:
            start = tl.load(starts_ptr + b * S + i)
        # what is not seen is not loaded either: its place holds the oldest key that is seen, and gets weight 0
        oldest1 = min(w1 - 1, i - start)
        oldest2 = min(w2 - 1, i - start)
        back1 = -tl.minimum(age1, oldest1)
        back2 = -tl.minimum(age2, oldest2)
        k1 = load_seen(k1_ptr, i, back1, k1_stride[1], d, D)
        k2 = load_seen(k2_ptr, i, back2, k2_stride[1], d, D)
        v1 = load_seen(v1_ptr, i, back1, v1_stride[1], d, D)
        v2 = load_seen(v2_ptr, i, back2, v2_stride[1], d, D)
        q = tl.load(q_ptr + tl.cast(i, tl.int64) * q_stride[1] + g[:, None] * q_stride[2] + d[None, :], mask=in_g, other=0.0)
        a1 = tl.reshape(k1[None, :, :] * q[:, None, :], [ROWS, BLOCK_D])
        # [ROWS, BLOCK_D] @ [BLOCK_D, W2] -> [ROWS, W2]
        s2 = tl.dot(a1, tl.trans(k2), input_precision="ieee") * scale_log2
        s2 = tl.where((age_r <= oldest1)[:, None] & (age2 <= oldest2)[None, :], s2, -float("inf"))
        m = tl.max(tl.reshape(tl.max(s2, 1), [HEADS, W1]), 1)
        p = tl.exp2(s2 - tl.reshape(tl.broadcast_to(m[:, None], [HEADS, W1]), [ROWS])[:, None])
        l = tl.sum(tl.reshape(tl.sum(p, 1), [HEADS, W1]), 1)
        # [BLOCK_D, W2] @ [W2, ROWS] -> [BLOCK_D, ROWS]
        x = tl.reshape(tl.dot(tl.trans(v2), tl.trans(p.to(v2.dtype)), input_precision="ieee"), [BLOCK_D, HEADS, W1])
        o = tl.sum(x * tl.trans(v1)[:, None, :], 2) / l[None, :]
        row = (b * S + i) * (Hkv * G) + hkv * G
        tl.store(o_ptr + (row + g)[None, :] * D + d[:, None], o.to(o_ptr.dtype.element_ty), mask=tl.trans(in_g))
        tl.store(lse2_ptr + row + g, m + tl.log2(l), mask=g < G)


def launch(p: Problem, tile: WindowTile) -> tuple[Tensor, Tensor]:
    """Run the forward on an oriented problem without determinant or cache: ``o [B, S, H, D]`` and ``lse2 [B, S, H]``."""
    B, S, _, H, Hkv, D = p.sizes
    o = torch.empty(B, S, H, D, dtype=p.q.dtype, device=p.q.device)
    lse2 = torch.empty(B, S, H, dtype=torch.promote_types(p.q.dtype, torch.float32), device=p.q.device)
    forward_window_kernel[(triton.cdiv(S, tile.positions) * Hkv * B,)](
        p.q, p.k1, p.k2, p.v1, p.v2, o, lse2, p.starts, *p.strides,
        S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, scale_log2=p.scale_log2,
        **p.constants, POSITIONS=tile.positions, HEADS=triton.next_power_of_2(p.group), W1=p.padded(p.w1), W2=p.padded(p.w2),
        **tile.options,
    )  # fmt: skip
    return o, lse2
