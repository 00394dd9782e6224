"""Forward: one query position and its heads against a tile of pairs.

Formula (arXiv:2507.02754, eqs 5 to 7), for each query ``i`` and head:

    A_ijk = scale * sum_d q_id k1_jd k2_kd              or, with determinant logits (eq. 9), scale * sum_l det[q_i, k1_j, k2_k]
    P_ijk = exp(A_ijk) / sum_jk exp(A_ijk)              over the pairs i - w1 < j <= i, i - w2 < k <= i
    o_id  = sum_jk P_ijk v1_jd v2_kd                    lse2_i = log2 sum_jk exp(A_ijk)

Shapes: ``q, o [B, Sq, H, D]``, keys and values ``[B, Skv, Hkv, D]``, ``lse2 [B, Sq, H]`` in base 2. Query ``s`` stands at position ``s +
length - Sq``, where ``length`` is ``Skv`` unless a cache is filled less.

A program owns ``ROWS = POSITIONS x HEADS`` rows, all of one key head. Its outer loop walks over tiles of second keys, which stay in
shared memory, its inner loop over first keys, one row at a time:

    s2  = (q * k1_j) @ K2^T     [ROWS, D] @ [D, BLOCK_K]
    acc += (P @ V2) * v1_j      [ROWS, BLOCK_K] @ [BLOCK_K, D]

Instead of a running maximum the softmax subtracts an upper bound of each row's logits (Cauchy-Schwarz over the windows), so that nothing
is ever rescaled. Weights can then only be too small, and their sum tells afterwards whether they were: if it is at least PIVOT_SAFE,
nothing that matters was lost; otherwise the program does its rows again with the running maximum.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.configs import Tile
from simplex_kernels.problem import Problem
from simplex_kernels.tiles import LOWEST, load_row, load_tile, sees, turns

# A bound (base 2) above which the pivot is not tried: with normal vectors the maximum lies nearly 80 below it, and a little beyond it would
# fail.
PIVOT_TRY = tl.constexpr(100.0)
# The smallest sum of weights that certifies a row. fp32 flushes what is below 2^-126, so a lost weight is at most 2^-46 of the sum, and
# 2^20 lost pairs are 2^-26 of it.
PIVOT_SAFE = tl.constexpr(2.0**-80)
# The largest: q * q or k1 * k1 may have underflowed, and then the bound is none.
PIVOT_LIMIT = tl.constexpr(2.0**100)
# Room for the rounding of q * q, k1 * k1 and q * k1_j to bf16.
SLACK = tl.constexpr(1.02)


@triton.jit
def _sweep(
    acc, l, m, q, q_back, i, start, j_lo, k_lo, end, t_lo, t_hi, gap_at, gap,
    k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride, k2_stride, v1_stride, v2_stride, w1, w2, scale_log2, biases,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_K: tl.constexpr, POSITIONS: tl.constexpr,
    DETERMINANT: tl.constexpr, BIASED: tl.constexpr, MASKED: tl.constexpr, ONLINE: tl.constexpr,
):  # fmt: skip
    """Tiles ``t_lo <= t < t_hi`` of second keys (from ``gap_at`` on, ``gap`` tiles are left out) against all first keys."""
    d = tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_K)
    for t in range(t_lo, t_hi):
        k0 = k_lo + (t + tl.where(t >= gap_at, gap, 0)) * BLOCK_K
        k = k0 + n
        k2 = load_tile(k2_ptr, k0, n, k < end, k2_stride, d, D, biases[1], BIASED)
        v2 = load_tile(v2_ptr, k0, n, k < end, v2_stride, d, D, biases[3], BIASED)
        if MASKED:
            see_k = sees(i[:, None], start[:, None], k[None, :], w2)
            pivot = tl.where(see_k, m[:, None], float("inf"))
        else:
            pivot = m[:, None]
        # rows of first keys are fetched one step ahead: a program has nothing else to do while it waits for them
        k1 = load_row(k1_ptr, j_lo, k1_stride, d, D, biases[0], BIASED)
        v1 = load_row(v1_ptr, j_lo, v1_stride, d, D, biases[2], BIASED)
        for j in range(j_lo, end):
            j_next = min(j + 1, end - 1)
            if DETERMINANT:
                turn, back, _ = turns(d, D, DETERMINANT)
                k1_back = load_row(k1_ptr, j, k1_stride, back, D, biases[0], BIASED).to(acc.dtype)
                k1_turn = load_row(k1_ptr, j, k1_stride, turn, D, biases[0], BIASED).to(acc.dtype)
                a = (q * k1_back - q_back * k1_turn).to(q.dtype)
            else:
                a = q * k1
                k1 = load_row(k1_ptr, j_next, k1_stride, d, D, biases[0], BIASED)
            # [ROWS, BLOCK_D] @ [BLOCK_D, BLOCK_K] -> [ROWS, BLOCK_K]
            s2 = tl.dot(a, tl.trans(k2), input_precision="ieee") * scale_log2
            if POSITIONS > 1:
                see_j = sees(i, start, j, w1)
            if ONLINE:
                if MASKED:
                    s2 = tl.where(see_k, s2, -float("inf"))
                top = tl.max(s2, 1)
                if POSITIONS > 1:
                    top = tl.where(see_j, top, LOWEST)
                m_new = tl.maximum(m, top)
                alpha = tl.exp2(m - m_new)
                m = m_new
                l *= alpha
                acc *= alpha[:, None]
                if POSITIONS > 1:
                    # a row that does not see j gets weights of 0
                    m_new = tl.where(see_j, m_new, -LOWEST)
                p = tl.exp2(s2 - m_new[:, None])
            else:
                p = tl.exp2(s2 - pivot)
                if POSITIONS > 1:
                    p = tl.where(see_j[:, None], p, 0.0)
            l += tl.sum(p, 1)
            # [ROWS, BLOCK_K] @ [BLOCK_K, BLOCK_D] -> [ROWS, BLOCK_D]
            acc += tl.dot(p.to(v2.dtype), v2, input_precision="ieee") * v1
            v1 = load_row(v1_ptr, j_next, v1_stride, d, D, biases[2], BIASED)
    return acc, l, m


@triton.jit(do_not_specialize=["Sq", "Skv", "w1", "w2"])
def forward_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, lse2_ptr, k2_norm_ptr, starts_ptr, lengths_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, Sq, Skv, Hkv, w1, w2, scale_log2, biases,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr, BLOCK_K: tl.constexpr,
    DETERMINANT: tl.constexpr, BIASED: tl.constexpr, PIVOT: tl.constexpr,
):  # fmt: skip
    ROWS: tl.constexpr = POSITIONS * HEADS
    HEAD_BLOCKS: tl.constexpr = (G + HEADS - 1) // HEADS
    ACC: tl.constexpr = tl.float64 if q_ptr.dtype.element_ty == tl.float64 else tl.float32
    position_blocks = tl.cdiv(Sq, POSITIONS)
    pid = tl.program_id(0)
    head_block = pid % HEAD_BLOCKS
    s0 = pid // HEAD_BLOCKS % position_blocks * POSITIONS
    hkv = (pid // HEAD_BLOCKS // position_blocks % Hkv).to(tl.int64)
    b = (pid // HEAD_BLOCKS // position_blocks // Hkv).to(tl.int64)
    length = Skv
    if lengths_ptr is not None:
        length = min(max(tl.load(lengths_ptr + b), Sq), Skv)

    r = tl.arange(0, ROWS)
    s = s0 + r // HEADS
    g = head_block * HEADS + r % HEADS
    in_rows = (s < Sq) & (g < G)
    i = s + length - Sq
    i_first = s0 + length - Sq
    i_last = min(i_first + POSITIONS, length) - 1
    start = tl.zeros([ROWS], tl.int32)
    start_first = 0
    start_last = 0
    if starts_ptr is not None:
        start = tl.load(starts_ptr + b * Skv + i, mask=in_rows, other=0)
        start_first = tl.load(starts_ptr + b * Skv + i_first)
        start_last = tl.load(starts_ptr + b * Skv + i_last)

    d = tl.arange(0, BLOCK_D)
    in_q = in_rows[:, None] & (d < D)[None, :]
    q_rows = q_ptr + b * q_stride[0] + (s.to(tl.int64) * q_stride[1] + (hkv * G + g) * q_stride[2])[:, None]
    if DETERMINANT:
        turn, back, whole = turns(d, D, DETERMINANT)
        q = tl.load(q_rows + turn[None, :], mask=in_q, other=0.0)
        q_back = tl.load(q_rows + back[None, :], mask=in_q & whole[None, :], other=0.0)
    else:
        q = tl.load(q_rows + d[None, :], mask=in_q, other=0.0)
        q_back = q
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]

    # first and second keys that some row sees, and the tiles [full_lo, full_hi) of second keys that all rows see whole
    j_lo = max(i_first - w1 + 1, start_first)
    k_lo = max(i_first - w2 + 1, start_first)
    end = i_last + 1
    tiles = tl.cdiv(end - k_lo, BLOCK_K)
    full_lo = min(tl.cdiv(max(max(i_last - w2 + 1, start_last) - k_lo, 0), BLOCK_K), tiles)
    full_hi = max((i_first + 1 - k_lo) // BLOCK_K, full_lo)
    full = full_hi - full_lo

    acc = tl.zeros([ROWS, BLOCK_D], ACC)
    l = tl.zeros([ROWS], ACC)
    m = tl.full([ROWS], LOWEST, ACC)
    certified = False
    if PIVOT:
        # bound >= max_jk s2 of each row: |s2| <= |q * k1_j| |k2_k| scale_log2
        n = tl.arange(0, BLOCK_K)
        top1 = tl.zeros([ROWS], ACC)
        for j0 in range(j_lo, end, BLOCK_K):
            k1 = load_tile(k1_ptr, j0, n, j0 + n < end, k1_stride[1], d, D, biases[0], BIASED)
            top1 = tl.maximum(top1, tl.max(tl.dot(q * q, tl.trans(k1 * k1), input_precision="ieee"), 1))
        top2 = tl.zeros([BLOCK_K], ACC)
        for k0 in range(k_lo, end, BLOCK_K):
            top2 = tl.maximum(top2, tl.load(k2_norm_ptr + (b * Skv + k0 + n) * Hkv + hkv, mask=k0 + n < end, other=0.0))
        norm2 = tl.max(top2, 0)
        if BIASED:
            norm2 += tl.abs(biases[1]) * D**0.5
        bound = tl.sqrt(top1) * (norm2 * (SLACK * tl.abs(scale_log2)))
        if tl.max(bound, 0) <= PIVOT_TRY:
            acc, l, m = _sweep(
                acc, l, bound, q, q_back, i, start, j_lo, k_lo, end, full_lo, full_hi, tiles, 0,
                k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, biases,
                D, BLOCK_D, BLOCK_K, POSITIONS, DETERMINANT, BIASED, False, False,
            )  # fmt: skip
            acc, l, m = _sweep(
                acc, l, m, q, q_back, i, start, j_lo, k_lo, end, 0, tiles - full, full_lo, full,
                k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, biases,
                D, BLOCK_D, BLOCK_K, POSITIONS, DETERMINANT, BIASED, True, False,
            )  # fmt: skip
            l = tl.where(in_rows, l, 1.0)
            certified = (tl.min(l, 0) >= PIVOT_SAFE) & (tl.max(l, 0) <= PIVOT_LIMIT)
    if not certified:
        acc = tl.zeros([ROWS, BLOCK_D], ACC)
        l = tl.zeros([ROWS], ACC)
        m = tl.full([ROWS], LOWEST, ACC)
        acc, l, m = _sweep(
            acc, l, m, q, q_back, i, start, j_lo, k_lo, end, full_lo, full_hi, tiles, 0,
            k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, biases,
            D, BLOCK_D, BLOCK_K, POSITIONS, DETERMINANT, BIASED, False, True,
        )  # fmt: skip
        acc, l, m = _sweep(
            acc, l, m, q, q_back, i, start, j_lo, k_lo, end, 0, tiles - full, full_lo, full,
            k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, biases,
            D, BLOCK_D, BLOCK_K, POSITIONS, DETERMINANT, BIASED, True, True,
        )  # fmt: skip

    l = tl.where(in_rows, l, 1.0)
    row = (b * Sq + s) * (Hkv * G) + hkv * G + g
    tl.store(o_ptr + row[:, None] * D + d[None, :], (acc / l[:, None]).to(o_ptr.dtype.element_ty), mask=in_q)
    tl.store(lse2_ptr + row, m + tl.log2(l), mask=in_rows)


def launch(p: Problem, tile: Tile) -> tuple[Tensor, Tensor]:
    """Run the forward on an oriented problem: ``o [B, Sq, H, D]`` and ``lse2 [B, Sq, H]`` (fp32; fp64 for fp64 inputs)."""
    B, Sq, Skv, H, Hkv, D = p.sizes
    o = torch.empty(B, Sq, H, D, dtype=p.q.dtype, device=p.q.device)
    lse2 = torch.empty(B, Sq, H, dtype=torch.promote_types(p.q.dtype, torch.float32), device=p.q.device)
    # fp16 weights have no exponent for a pivot far above the maximum; the determinant has no bound as cheap as this one; a decode step
    # would read the norms of its whole cache
    pivot = p.q.dtype != torch.float16 and not p.determinant and Sq == Skv
    k2_norm = torch.linalg.vector_norm(p.k2, dim=-1, dtype=lse2.dtype) if pivot else None
    packing = tile.packing(p.group)
    programs = triton.cdiv(Sq, packing["POSITIONS"]) * triton.cdiv(p.group, packing["HEADS"]) * Hkv * B
    forward_kernel[(programs,)](
        p.q, p.k1, p.k2, p.v1, p.v2, o, lse2, k2_norm, p.starts, p.lengths, *p.strides,
        Sq=Sq, Skv=Skv, Hkv=Hkv, w1=p.w1, w2=p.w2, scale_log2=p.scale_log2, biases=p.biases,
        **p.constants, **packing, BLOCK_K=tile.block_k, DETERMINANT=p.determinant, BIASED=any(p.biases), PIVOT=pivot,
        **tile.options,
    )  # fmt: skip
    return o, lse2
