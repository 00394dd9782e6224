"""Backward for small windows: all five gradients from one walk over positions, with the window as a tile.

Formula as in ``backward_query.py`` and ``backward_keys.py``; tiles as in ``forward_window.py``. For one query row, with ``A1 = K1 * q``
and ``B1 = V1 * do``:

    s2 = A1 @ K2^T,  dP = B1 @ V2^T                     [W1, D] @ [D, W2]
    dk1 += (dA @ K2) * q,    dv1 += (P @ V2) * do       [W1, W2] @ [W2, D]
    dk2 += (dA^T @ K1) * q,  dv2 += (P^T @ V1) * do     [W2, W1] @ [W1, D]
    dq  = sum_j (dA @ K2)_j * K1_j

Six products for each triple and nothing computed twice. The accumulators are rings: position ``x`` has the slot ``x mod W``, so when the
walk goes on by one position, one row leaves and its slot is written out and cleared, and no other row moves.

Partial sums are fp32, without the scale: ``part1 [blocks, 2, POSITIONS + W1 - 1, D]`` holds dk1 and dv1 of the positions from ``i_first
- W1 + 1`` on, ``part2`` the same for the second key. Neighbouring blocks overlap; ``reduce.py`` adds them up.
"""

import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.configs import WindowTile
from simplex_kernels.problem import Problem
from simplex_kernels.tiles import load_row, load_tile

INV_LN2 = tl.constexpr(1.4426950408889634)


@triton.jit(do_not_specialize=["first", "S", "w1", "w2"])
def backward_window_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, dlse2_ptr, starts_ptr, dq_ptr, part1_ptr, part2_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, do_stride, first, S, Hkv, w1, w2, scale, scale_log2, biases,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, W1: tl.constexpr, W2: tl.constexpr,
    BIASED: tl.constexpr,
):  # fmt: skip
    ACC: tl.constexpr = tl.float64 if q_ptr.dtype.element_ty == tl.float64 else tl.float32
    FAR1: tl.constexpr = (POSITIONS + W1 - 1) * D
    FAR2: tl.constexpr = (POSITIONS + W2 - 1) * D
    blocks = tl.cdiv(S, POSITIONS)
    block = first + tl.program_id(0)
    i_first = block % blocks * POSITIONS
    i_last = min(i_first + POSITIONS, S) - 1
    hkv = (block // blocks % Hkv).to(tl.int64)
    b = (block // blocks // Hkv).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    in_d = d < D
    slot1 = tl.arange(0, W1)
    slot2 = tl.arange(0, W2)
    q_ptr += b * q_stride[0] + hkv * G * q_stride[2]
    do_ptr += b * do_stride[0] + hkv * G * do_stride[2]
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]
    part1_ptr += tl.program_id(0).to(tl.int64) * (2 * FAR1)
    part2_ptr += tl.program_id(0).to(tl.int64) * (2 * FAR2)
    dk1 = tl.zeros([W1, BLOCK_D], ACC)
    dv1 = tl.zeros([W1, BLOCK_D], ACC)
    dk2 = tl.zeros([W2, BLOCK_D], ACC)
    dv2 = tl.zeros([W2, BLOCK_D], ACC)
    for i in range(i_first, i_last + 1):
        age1 = (i - slot1) & (W1 - 1)
        age2 = (i - slot2) & (W2 - 1)
        if i > i_first:
            # position i takes the slot of position i - W, whose sums are complete as far as this block goes
            leaves1 = (age1 == 0)[:, None]
            leaves2 = (age2 == 0)[:, None]
            out1 = part1_ptr + (i - i_first - 1) * D + slot1[:, None] * 0 + d[None, :]
            out2 = part2_ptr + (i - i_first - 1) * D + slot2[:, None] * 0 + d[None, :]
            tl.store(out1, dk1, mask=leaves1 & in_d[None, :])
            tl.store(out1 + FAR1, dv1, mask=leaves1 & in_d[None, :])
            tl.store(out2, dk2, mask=leaves2 & in_d[None, :])
            tl.store(out2 + FAR2, dv2, mask=leaves2 & in_d[None, :])
            dk1 = tl.where(leaves1, 0.0, dk1)
            dv1 = tl.where(leaves1, 0.0, dv1)
            dk2 = tl.where(leaves2, 0.0, dk2)
            dv2 = tl.where(leaves2, 0.0, dv2)
        start = 0
        if starts_ptr is not None:
            start = tl.load(starts_ptr + b * S + i)
        see1 = (age1 < w1) & (i - age1 >= start)
        see2 = (age2 < w2) & (i - age2 >= start)
        k1 = load_tile(k1_ptr, i, -age1, see1, k1_stride[1], d, D, biases[0], BIASED)
        k2 = load_tile(k2_ptr, i, -age2, see2, k2_stride[1], d, D, biases[1], BIASED)
        v1 = load_tile(v1_ptr, i, -age1, see1, v1_stride[1], d, D, biases[2], BIASED)
        v2 = load_tile(v2_ptr, i, -age2, see2, v2_stride[1], d, D, biases[3], BIASED)
        for g in range(0, G):
            row = (b * S + i) * (Hkv * G) + hkv * G + g
            q = load_row(q_ptr + g * q_stride[2], i, q_stride[1], d, D, 0.0, False)
            do = load_row(do_ptr + g * do_stride[2], i, do_stride[1], d, D, 0.0, False)
            o = tl.load(o_ptr + row * D + d, mask=in_d, other=0.0)[None, :]
            delta = tl.sum(tl.sum(o.to(ACC) * do.to(ACC), 1), 0)
            if dlse2_ptr is not None:
                delta -= INV_LN2 * tl.load(dlse2_ptr + row)
            lse2 = tl.load(lse2_ptr + row)
            # [W1, BLOCK_D] @ [BLOCK_D, W2] -> [W1, W2]
            s2 = tl.dot(k1 * q, tl.trans(k2), input_precision="ieee") * scale_log2 - tl.where(see2, lse2, float("inf"))[None, :]
            p = tl.exp2(tl.where(see1[:, None], s2, -float("inf")))
            dp = tl.dot(v1 * do, tl.trans(v2), input_precision="ieee")
            da = (p * (dp - delta)).to(k2.dtype)
            p = p.to(v2.dtype)
            # [W1, W2] @ [W2, BLOCK_D] -> [W1, BLOCK_D]
            u = tl.dot(da, k2, input_precision="ieee")
            dk1 += u * q
            dv1 += tl.dot(p, v2, input_precision="ieee") * do
            # [W2, W1] @ [W1, BLOCK_D] -> [W2, BLOCK_D]
            dk2 += tl.dot(tl.trans(da), k1, input_precision="ieee") * q
            dv2 += tl.dot(tl.trans(p), v1, input_precision="ieee") * do
            dq = tl.sum(u * k1, 0) * scale
            tl.store(dq_ptr + row * D + d, dq.to(dq_ptr.dtype.element_ty), mask=in_d)
    out1 = part1_ptr + (i_last - ((i_last - slot1) & (W1 - 1)) - (i_first - W1 + 1))[:, None] * D + d[None, :]
    out2 = part2_ptr + (i_last - ((i_last - slot2) & (W2 - 1)) - (i_first - W2 + 1))[:, None] * D + d[None, :]
    tl.store(out1, dk1, mask=in_d[None, :])
    tl.store(out1 + FAR1, dv1, mask=in_d[None, :])
    tl.store(out2, dk2, mask=in_d[None, :])
    tl.store(out2 + FAR2, dv2, mask=in_d[None, :])


def launch(
    p: Problem, tile: WindowTile, o: Tensor, lse2: Tensor, do: Tensor, dlse2: Tensor | None, dq: Tensor,
    first: int, blocks: int, part1: Tensor, part2: Tensor,
) -> None:  # fmt: skip
    """Fill ``dq`` and the partial sums of ``blocks`` blocks of positions from ``first`` on, counted over batch, key head and position."""
    _, S, _, _, Hkv, _ = p.sizes
    backward_window_kernel[(blocks,)](
        p.q, p.k1, p.k2, p.v1, p.v2, o, do, lse2, dlse2, p.starts, dq, part1, part2, *p.strides, do.stride()[:3],
        first=first, S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, scale=p.scale, scale_log2=p.scale_log2, biases=p.biases,
        **p.constants, POSITIONS=tile.positions, W1=p.padded(p.w1), W2=p.padded(p.w2), **tile.options,
    )  # fmt: skip
