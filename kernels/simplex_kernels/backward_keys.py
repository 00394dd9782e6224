"""Backward, the keys' side: partial sums of dk1, dk2, dv1 and dv2, from one block of first keys and one tile of second keys.

Formula (eqs 10 to 15, errata mended), with ``dA`` and ``P`` as in ``backward_query.py`` and sums over the heads of the group understood:

    dv1_jd = sum_ik P_ijk do_id v2_kd           dk1_jd = scale * sum_ik dA_ijk q_id k2_kd
    dv2_kd = sum_ij P_ijk do_id v1_jd           dk2_kd = scale * sum_ij dA_ijk q_id k1_jd

For a fixed first key ``j`` the pairs' keys ``KK = k1_j * K2`` and values ``VV = v1_j * V2`` are one tile each, and the loop over queries is
the backward of dot-product attention with them:

    S^T = K2 @ (q * k1_j)^T,  dP^T = VV @ do^T,  dKK += dA^T @ q,  dVV += P^T @ do       [BLOCK_K, ROWS], [BLOCK_K, D]

(``S`` could be ``KK @ q^T`` as well, but then its rounding would not be the forward's, and ``exp2(S - lse2)`` not the forward's weight.)

Only after all queries that see ``j`` do the products come apart: ``dk2 += dKK * k1_j`` and ``dk1_j = sum_k dKK * K2``, the same for the
values. That is four products for each triple, none of them elementwise, and both keys' gradients from them.

Shapes: queries ``[B, S, H, D]``, keys and values ``[B, S, Hkv, D]``, ``stat [B, S, H, 4]``. A program owns the slots it writes, so no
atomics are needed; ``reduce.py`` adds the slots up. Partial sums are fp32, without the scale:

    part1 [blocks, tiles, 2, BLOCK_J, D]        dk1 and dv1 of the block, one copy for each tile
    part2 [blocks, 2, tiles * BLOCK_K, D]       dk2 and dv2 of all positions that the block's queries see
"""

import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.configs import Tile
from simplex_kernels.problem import Problem
from simplex_kernels.tiles import load_row, load_tile, turns


@triton.jit
def _walk(
    dkk, dvv, k1, k1_turn, k2, vv, k, start, i_lo, i_hi, x_lo, x_hi, gap_at, gap, q_ptr, do_ptr, stat_ptr, q_stride, do_stride,
    w2, H, scale_log2, G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr,
    DETERMINANT: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Steps ``x_lo <= x < x_hi`` over the queries ``i_lo <= i < i_hi``; from ``gap_at`` on, ``gap`` steps are left out."""
    ROWS: tl.constexpr = POSITIONS * HEADS
    HEAD_BLOCKS: tl.constexpr = (G + HEADS - 1) // HEADS
    EXACT: tl.constexpr = POSITIONS == 1 and G % HEADS == 0
    d = tl.arange(0, BLOCK_D)
    in_d = (d < D)[None, :]
    r = tl.arange(0, ROWS)
    if POSITIONS == 1:
        p = tl.zeros([ROWS], tl.int32)
        g = r
    else:
        p = r // HEADS
        g = r % HEADS
    at_q = (p * q_stride[1] + g * q_stride[2])[:, None] + d[None, :]
    at_do = (p * do_stride[1] + g * do_stride[2])[:, None] + d[None, :]
    at_stat = (p * H + g)[:, None] * 4 + tl.arange(0, 4)[None, :]
    for x in range(x_lo, x_hi):
        y = x + tl.where(x >= gap_at, gap, 0)
        i0 = i_lo + y // HEAD_BLOCKS * POSITIONS
        head = y % HEAD_BLOCKS * HEADS
        i = i0 + p
        far = tl.cast(i0, tl.int64)
        far_q = q_ptr + far * q_stride[1] + head * q_stride[2]
        far_do = do_ptr + far * do_stride[1] + head * do_stride[2]
        if EXACT:
            q = tl.load(far_q + at_q, mask=in_d, other=0.0)
            do = tl.load(far_do + at_do, mask=in_d, other=0.0)
            stat = tl.load(stat_ptr + (far * H + head) * 4 + at_stat)
        else:
            in_rows = (i < i_hi) & (head + g < G)
            q = tl.load(far_q + at_q, mask=in_rows[:, None] & in_d, other=0.0)
            do = tl.load(far_do + at_do, mask=in_rows[:, None] & in_d, other=0.0)
            stat = tl.load(stat_ptr + (far * H + head) * 4 + at_stat, mask=in_rows[:, None], other=0.0)
        # a as in the forward, rounded in the same place: only then is exp2(s2) the forward's weight, however large the logits. Its q is
        # loaded by itself: a buffer that is read both by a product and into registers is filled again too early (Triton issue 6691)
        if DETERMINANT:
            turn, back, whole = turns(d, D, DETERMINANT)
            in_q = ((i < i_hi) & (head + g < G))[:, None] & in_d
            q_turn = tl.load(far_q + at_q - d[None, :] + turn[None, :], mask=in_q, other=0.0)
            q_back = tl.load(far_q + at_q - d[None, :] + back[None, :], mask=in_q & whole[None, :], other=0.0)
            a = (q_turn * k1 - q_back * k1_turn).to(q.dtype)
        elif EXACT:
            a = tl.load(far_q + at_q, mask=in_d, other=0.0, cache_modifier=".ca") * k1
        else:
            a = tl.load(far_q + at_q, mask=in_rows[:, None] & in_d, other=0.0, cache_modifier=".ca") * k1
        # four numbers a row, two of them unused: a tile of fewer numbers than threads would be loaded whole by every thread
        even, odd = tl.split(tl.reshape(stat, [ROWS, 2, 2]))
        lse2, _ = tl.split(even)
        delta, _ = tl.split(odd)
        # [BLOCK_K, BLOCK_D] @ [BLOCK_D, ROWS] -> [BLOCK_K, ROWS]
        s2 = tl.dot(k2, tl.trans(a), input_precision="ieee") * scale_log2 - lse2[None, :]
        if MASKED:
            if EXACT:
                see = ((k >= start) & (k <= i0) & (k > i0 - w2))[:, None]
            else:
                see = (k >= start)[:, None] & (k[:, None] <= i[None, :]) & (k[:, None] > i[None, :] - w2) & in_rows[None, :]
            s2 = tl.where(see, s2, -float("inf"))
        p_t = tl.exp2(s2)
        # [BLOCK_K, ROWS] @ [ROWS, BLOCK_D] -> [BLOCK_K, BLOCK_D]
        dvv += tl.dot(p_t.to(do.dtype), do, input_precision="ieee")
        dp_t = tl.dot(vv, tl.trans(do), input_precision="ieee")
        da_t = p_t * (dp_t - delta[None, :])
        dkk += tl.dot(da_t.to(q.dtype), q, input_precision="ieee")
    return dkk, dvv


@triton.jit(do_not_specialize=["first", "S", "w1", "w2", "tiles"])
def backward_keys_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, do_ptr, stat_ptr, starts_ptr, ends_ptr, part1_ptr, part2_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, do_stride, first, S, Hkv, w1, w2, tiles, scale_log2, biases,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr,
    BLOCK_J: tl.constexpr, BLOCK_K: tl.constexpr, DETERMINANT: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    HEAD_BLOCKS: tl.constexpr = (G + HEADS - 1) // HEADS
    ACC: tl.constexpr = tl.float64 if q_ptr.dtype.element_ty == tl.float64 else tl.float32
    blocks = tl.cdiv(S, BLOCK_J)
    local = tl.program_id(0) // tiles
    tile = tl.program_id(0) % tiles
    block = first + local
    hkv = (block // blocks % Hkv).to(tl.int64)
    b = (block // blocks // Hkv).to(tl.int64)
    H = Hkv * G
    j0 = block % blocks * BLOCK_J
    k0 = j0 - w2 + 1 + tile * BLOCK_K
    n = tl.arange(0, BLOCK_K)
    k = k0 + n
    in_k = (k >= 0) & (k < S)
    d = tl.arange(0, BLOCK_D)
    in_d = d < D
    q_ptr += b * q_stride[0] + hkv * G * q_stride[2]
    do_ptr += b * do_stride[0] + hkv * G * do_stride[2]
    stat_ptr += (b * S * H + hkv * G) * 4
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]
    part1_ptr += tl.program_id(0).to(tl.int64) * (2 * BLOCK_J * D)
    part2_ptr += local.to(tl.int64) * (2 * tiles * BLOCK_K * D) + tile * (BLOCK_K * D)
    at_dk2 = part2_ptr + n[:, None] * D + d[None, :]
    at_dv2 = at_dk2 + tl.cast(tiles, tl.int64) * (BLOCK_K * D)
    k2 = load_tile(k2_ptr, k0, n, in_k, k2_stride[1], d, D, biases[1], BIASED)
    for j in range(j0, min(j0 + BLOCK_J, S)):
        start = 0
        end = S
        if starts_ptr is not None:
            start = tl.load(starts_ptr + b * S + j)
            end = tl.load(ends_ptr + b * S + j) + 1
        v1 = load_row(v1_ptr, j, v1_stride[1], d, D, biases[2], BIASED)
        vv = load_tile(v2_ptr, k0, n, in_k, v2_stride[1], d, D, biases[3], BIASED) * v1
        if DETERMINANT:
            turn, back, whole = turns(d, D, DETERMINANT)
            k1 = load_row(k1_ptr, j, k1_stride[1], back, D, biases[0], BIASED).to(ACC)
            k1_turn = load_row(k1_ptr, j, k1_stride[1], turn, D, biases[0], BIASED).to(ACC)
        else:
            k1 = load_row(k1_ptr, j, k1_stride[1], d, D, biases[0], BIASED)
            k1_turn = k1

        # queries of j's document that see j and some k of the tile
        i_lo = max(j, k0)
        i_hi = max(min(min(j + w1, k0 + BLOCK_K + w2 - 1), end), i_lo)
        if k0 + BLOCK_K <= start:
            i_hi = i_lo
        dkk = tl.zeros([BLOCK_K, BLOCK_D], ACC)
        dvv = tl.zeros([BLOCK_K, BLOCK_D], ACC)
        if POSITIONS == 1:
            # between full_lo and full_hi a query sees the whole tile
            full_lo = min(max(i_lo, k0 + BLOCK_K - 1), i_hi)
            full_hi = max(min(i_hi, k0 + w2), full_lo)
            if k0 < start:
                full_hi = full_lo
            lo = (full_lo - i_lo) * HEAD_BLOCKS
            gap = (full_hi - full_lo) * HEAD_BLOCKS
            steps = (i_hi - i_lo) * HEAD_BLOCKS
            dkk, dvv = _walk(
                dkk, dvv, k1, k1_turn, k2, vv, k, start, i_lo, i_hi, lo, lo + gap, steps, 0, q_ptr, do_ptr, stat_ptr, q_stride, do_stride,
                w2, H, scale_log2, G, D, BLOCK_D, POSITIONS, HEADS, DETERMINANT, G % HEADS != 0,
            )  # fmt: skip
            dkk, dvv = _walk(
                dkk, dvv, k1, k1_turn, k2, vv, k, start, i_lo, i_hi, 0, steps - gap, lo, gap, q_ptr, do_ptr, stat_ptr, q_stride, do_stride,
                w2, H, scale_log2, G, D, BLOCK_D, POSITIONS, HEADS, DETERMINANT, True,
            )  # fmt: skip
        else:
            steps = tl.cdiv(i_hi - i_lo, POSITIONS) * HEAD_BLOCKS
            dkk, dvv = _walk(
                dkk, dvv, k1, k1_turn, k2, vv, k, start, i_lo, i_hi, 0, steps, steps, 0, q_ptr, do_ptr, stat_ptr, q_stride, do_stride,
                w2, H, scale_log2, G, D, BLOCK_D, POSITIONS, HEADS, DETERMINANT, True,
            )  # fmt: skip

        if DETERMINANT:
            # with kk = k1_j x k2_k, so dk2 = dkk x k1_j and dk1_j = sum_k k2_k x dkk
            k2_turn = load_tile(k2_ptr, k0, n, in_k, k2_stride[1], turn, D, biases[1], BIASED, True)
            k2_back = load_tile(k2_ptr, k0, n, in_k, k2_stride[1], back, D, biases[1], BIASED, True)
            dkk_turn = tl.gather(dkk, tl.zeros([BLOCK_K, BLOCK_D], tl.int32) + turn[None, :], 1)
            dkk_back = tl.gather(dkk, tl.zeros([BLOCK_K, BLOCK_D], tl.int32) + back[None, :], 1)
            dk2 = dkk_turn * k1 - tl.where(whole[None, :], dkk_back * k1_turn, 0.0)
            dk1 = tl.sum(k2_turn * dkk_back - tl.where(whole[None, :], k2_back * dkk_turn, 0.0), 0)
        else:
            dk2 = dkk * k1
            dk1 = tl.sum(dkk * load_tile(k2_ptr, k0, n, in_k, k2_stride[1], d, D, biases[1], BIASED, True), 0)
        dv2 = dvv * v1
        dv1 = tl.sum(dvv * load_tile(v2_ptr, k0, n, in_k, v2_stride[1], d, D, biases[3], BIASED, True), 0)
        # dk2 and dv2 are kept in memory, not in registers: they are touched once for every j, the loop over queries needs the room
        # (a single truth value `&` a row of them is no mask in the interpreter of Triton 3.9)
        seen = (d < tl.where(j > j0, D, 0))[None, :]
        dk2 += tl.load(at_dk2, mask=seen, other=0.0)
        dv2 += tl.load(at_dv2, mask=seen, other=0.0)
        tl.store(at_dk2, dk2, mask=in_d[None, :])
        tl.store(at_dv2, dv2, mask=in_d[None, :])
        # the next j adds to what other threads have just written
        tl.debug_barrier()
        tl.store(part1_ptr + (j - j0) * D + d, dk1, mask=in_d)
        tl.store(part1_ptr + (BLOCK_J + j - j0) * D + d, dv1, mask=in_d)


def tiles(p: Problem, tile: Tile) -> int:
    """Tiles of second keys that the queries of a block of first keys see: positions ``j0 - w2 + 1`` to ``j0 + BLOCK_J + w1 - 2``."""
    return triton.cdiv(tile.block_j + p.w1 + p.w2 - 2, tile.block_k)


def launch(p: Problem, tile: Tile, do: Tensor, stat: Tensor, first: int, blocks: int, part1: Tensor, part2: Tensor) -> None:
    """Fill the partial sums of ``blocks`` blocks of first keys, from block ``first`` on, counted over batch, key head and position."""
    _, S, _, _, Hkv, _ = p.sizes
    n = tiles(p, tile)
    backward_keys_kernel[(blocks * n,)](
        p.q, p.k1, p.k2, p.v1, p.v2, do, stat, p.starts, p.ends, part1, part2, *p.strides, do.stride()[:3],
        first=first, S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, tiles=n, scale_log2=p.scale_log2, biases=p.biases,
        **p.constants, **tile.packing(p.group), BLOCK_J=tile.block_j, BLOCK_K=tile.block_k, DETERMINANT=p.determinant,
        BIASED=any(p.biases), **tile.options,
    )  # fmt: skip
