"""Backward, the query's side: dq, and the two numbers of each row that the keys' side needs.

Formula (eqs 12, 13 and 16, with the scale that the paper leaves out), for each query ``i`` and head:

    delta_i = sum_d o_id do_id - dlse2_i / ln 2         dlse2 is the gradient of lse2, usually absent
    dA_ijk  = P_ijk (dP_ijk - delta_i)                  dP_ijk = sum_d do_id v1_jd v2_kd,  P_ijk = exp2(s2_ijk - lse2_i)
    dq_id   = scale * sum_jk dA_ijk k1_jd k2_kd

A row with a single pair gets ``delta_i = dP_i - dlse2_i / ln 2``: its softmax is constant (``tiles.row_delta``).

Shapes: ``q, o, do, dq [B, S, H, D]``, keys and values ``[B, S, Hkv, D]``, ``stat [B, S, H, 4]`` holds ``lse2, delta`` and two unused
numbers.

Rows, tiles and loops are those of ``forward.py``: three products for each tile and first key,

    s2 = (q * k1_j) @ K2^T,  dP = (do * v1_j) @ V2^T,  dq += (dA @ K2) * k1_j

and nothing is reduced across programs. For determinant logits ``q * k1_j`` becomes ``q x k1_j`` and ``dq += k1_j x (dA @ K2)``, chunk by
chunk.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.configs import Tile
from simplex_kernels.problem import Problem
from simplex_kernels.tiles import INV_LN2, load_row, load_tile, row_delta, sees, turns


@triton.jit
def _sweep(
    dq, dq_back, q, q_back, do, lse2, delta, i, start, j_lo, k_lo, end, t_lo, t_hi, gap_at, gap,
    k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride, k2_stride, v1_stride, v2_stride, w1, w2, scale_log2, biases,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_K: tl.constexpr, POSITIONS: tl.constexpr,
    DETERMINANT: tl.constexpr, BIASED: tl.constexpr, MASKED: tl.constexpr,
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
            pivot = tl.where(sees(i[:, None], start[:, None], k[None, :], w2), lse2[:, None], float("inf"))
        else:
            pivot = lse2[:, None]
        # rows of first keys are fetched one step ahead, as in the forward
        k1_next = load_row(k1_ptr, j_lo, k1_stride, d, D, biases[0], BIASED)
        v1 = load_row(v1_ptr, j_lo, v1_stride, d, D, biases[2], BIASED)
        for j in range(j_lo, end):
            j_next = min(j + 1, end - 1)
            if DETERMINANT:
                turn, back, _ = turns(d, D, DETERMINANT)
                k1 = load_row(k1_ptr, j, k1_stride, back, D, biases[0], BIASED).to(dq.dtype)
                k1_turn = load_row(k1_ptr, j, k1_stride, turn, D, biases[0], BIASED).to(dq.dtype)
                a = (q * k1 - q_back * k1_turn).to(q.dtype)
            else:
                k1 = k1_next
                a = q * k1
                k1_next = load_row(k1_ptr, j_next, k1_stride, d, D, biases[0], BIASED)
            # [ROWS, BLOCK_D] @ [BLOCK_D, BLOCK_K] -> [ROWS, BLOCK_K]
            s2 = tl.dot(a, tl.trans(k2), input_precision="ieee") * scale_log2 - pivot
            if POSITIONS > 1:
                s2 = tl.where(sees(i, start, j, w1)[:, None], s2, -float("inf"))
            p = tl.exp2(s2)
            dp = tl.dot(do * v1, tl.trans(v2), input_precision="ieee")
            v1 = load_row(v1_ptr, j_next, v1_stride, d, D, biases[2], BIASED)
            da = p * (dp - delta[:, None])
            # [ROWS, BLOCK_K] @ [BLOCK_K, BLOCK_D] -> [ROWS, BLOCK_D]
            u = tl.dot(da.to(k2.dtype), k2, input_precision="ieee")
            dq += u * k1
            if DETERMINANT:
                dq_back += u * k1_turn
    return dq, dq_back


@triton.jit(do_not_specialize=["S", "w1", "w2"])
def backward_query_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, dlse2_ptr, starts_ptr, dq_ptr, stat_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, do_stride, S, Hkv, w1, w2, scale, scale_log2, biases,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr, BLOCK_K: tl.constexpr,
    DETERMINANT: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    ROWS: tl.constexpr = POSITIONS * HEADS
    HEAD_BLOCKS: tl.constexpr = (G + HEADS - 1) // HEADS
    ACC: tl.constexpr = tl.float64 if q_ptr.dtype.element_ty == tl.float64 else tl.float32
    position_blocks = tl.cdiv(S, POSITIONS)
    pid = tl.program_id(0)
    head_block = pid % HEAD_BLOCKS
    i_first = pid // HEAD_BLOCKS % position_blocks * POSITIONS
    hkv = (pid // HEAD_BLOCKS // position_blocks % Hkv).to(tl.int64)
    b = (pid // HEAD_BLOCKS // position_blocks // Hkv).to(tl.int64)

    r = tl.arange(0, ROWS)
    i = i_first + r // HEADS
    g = head_block * HEADS + r % HEADS
    in_rows = (i < S) & (g < G)
    i_last = min(i_first + POSITIONS, S) - 1
    start = tl.zeros([ROWS], tl.int32)
    start_first = 0
    start_last = 0
    if starts_ptr is not None:
        start = tl.load(starts_ptr + b * S + i, mask=in_rows, other=0)
        start_first = tl.load(starts_ptr + b * S + i_first)
        start_last = tl.load(starts_ptr + b * S + i_last)

    d = tl.arange(0, BLOCK_D)
    in_q = in_rows[:, None] & (d < D)[None, :]
    row = (b * S + i) * (Hkv * G) + hkv * G + g
    do_rows = do_ptr + b * do_stride[0] + (i.to(tl.int64) * do_stride[1] + (hkv * G + g) * do_stride[2])[:, None]
    do = tl.load(do_rows + d[None, :], mask=in_q, other=0.0)
    o = tl.load(o_ptr + row[:, None] * D + d[None, :], mask=in_q, other=0.0)
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]
    own = (i.to(tl.int64) * v1_stride[1])[:, None] + d[None, :], (i.to(tl.int64) * v2_stride[1])[:, None] + d[None, :]
    # (a single truth value `|` a row of them is no mask in the interpreter of Triton 3.9)
    single = in_rows & (i == tl.where(w1 + w2 == 2, i, start))
    delta, keys_delta = row_delta(o, do, v1_ptr, v2_ptr, own, single, d < D, biases[2], biases[3], BIASED, ACC)
    if dlse2_ptr is not None:
        through_lse2 = INV_LN2 * tl.load(dlse2_ptr + row, mask=in_rows, other=0.0)
        delta -= through_lse2
        keys_delta -= through_lse2
    lse2 = tl.load(lse2_ptr + row, mask=in_rows, other=0.0)
    tl.store(stat_ptr + row * 4, lse2, mask=in_rows)
    tl.store(stat_ptr + row * 4 + 1, keys_delta, mask=in_rows)

    q_rows = q_ptr + b * q_stride[0] + (i.to(tl.int64) * q_stride[1] + (hkv * G + g) * q_stride[2])[:, None]
    if DETERMINANT:
        turn, back, whole = turns(d, D, DETERMINANT)
        q = tl.load(q_rows + turn[None, :], mask=in_q, other=0.0)
        q_back = tl.load(q_rows + back[None, :], mask=in_q & whole[None, :], other=0.0)
    else:
        q = tl.load(q_rows + d[None, :], mask=in_q, other=0.0)
        q_back = q
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]

    # first and second keys that some row sees, and the tiles [full_lo, full_hi) of second keys that all rows see whole
    j_lo = max(i_first - w1 + 1, start_first)
    k_lo = max(i_first - w2 + 1, start_first)
    end = i_last + 1
    tiles = tl.cdiv(end - k_lo, BLOCK_K)
    full_lo = min(tl.cdiv(max(max(i_last - w2 + 1, start_last) - k_lo, 0), BLOCK_K), tiles)
    full_hi = max((i_first + 1 - k_lo) // BLOCK_K, full_lo)
    full = full_hi - full_lo

    dq = tl.zeros([ROWS, BLOCK_D], ACC)
    dq_back = dq
    dq, dq_back = _sweep(
        dq, dq_back, q, q_back, do, lse2, delta, i, start, j_lo, k_lo, end, full_lo, full_hi, tiles, 0,
        k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, biases,
        D, BLOCK_D, BLOCK_K, POSITIONS, DETERMINANT, BIASED, False,
    )  # fmt: skip
    dq, dq_back = _sweep(
        dq, dq_back, q, q_back, do, lse2, delta, i, start, j_lo, k_lo, end, 0, tiles - full, full_lo, full,
        k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, biases,
        D, BLOCK_D, BLOCK_K, POSITIONS, DETERMINANT, BIASED, True,
    )  # fmt: skip
    if DETERMINANT:
        # a_c = q[turn c] k1[back c] - q[back c] k1[turn c]: send each channel's gradient to where its q came from
        turn, back, whole = turns(d, D, DETERMINANT)
        to_turn = tl.gather(dq, tl.zeros([ROWS, BLOCK_D], tl.int32) + back[None, :], 1)
        to_back = tl.gather(dq_back, tl.zeros([ROWS, BLOCK_D], tl.int32) + turn[None, :], 1)
        dq = to_turn - tl.where(whole[None, :], to_back, 0.0)
    tl.store(dq_ptr + row[:, None] * D + d[None, :], (dq * scale).to(dq_ptr.dtype.element_ty), mask=in_q)


def launch(p: Problem, tile: Tile, o: Tensor, lse2: Tensor, do: Tensor, dlse2: Tensor | None) -> tuple[Tensor, Tensor]:
    """``dq [B, S, H, D]`` and ``stat [B, S, H, 4]`` of an oriented problem; ``lse2`` and ``dlse2`` are ``[B, S, H]``, contiguous."""
    B, S, _, H, Hkv, D = p.sizes
    dq = torch.empty(B, S, H, D, dtype=p.q.dtype, device=p.q.device)
    stat = torch.empty(B, S, H, 4, dtype=lse2.dtype, device=p.q.device)
    packing = tile.packing(p.group)
    programs = triton.cdiv(S, packing["POSITIONS"]) * triton.cdiv(p.group, packing["HEADS"]) * Hkv * B
    backward_query_kernel[(programs,)](
        p.q, p.k1, p.k2, p.v1, p.v2, o, do, lse2, dlse2, p.starts, dq, stat, *p.strides, do.stride()[:3],
        S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, scale=p.scale, scale_log2=p.scale_log2, biases=p.biases,
        **p.constants, **packing, BLOCK_K=tile.block_k, DETERMINANT=p.determinant,
        BIASED=any(p.biases), **tile.options,
    )  # fmt: skip
    return dq, stat
