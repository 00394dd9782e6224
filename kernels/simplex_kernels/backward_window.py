"""Backward for small windows: all five gradients from one walk over positions, with the window as a tile.

Formula as in ``backward_query.py`` and ``backward_keys.py``; tiles as in ``forward_window.py``: the rows of a tile are a group's heads x
first keys, its columns second keys. With ``A1 = K1 * q`` and ``B1 = V1 * do``:

    s2 = A1 @ K2^T,    dP = B1 @ V2^T                   [HEADS W1, D] @ [D, W2]
    U = K2^T @ dA^T,   X = V2^T @ P^T                   [D, W2] @ [W2, HEADS W1]
    dk1 += U * q,      dv1 += X * do                    summed over the group's heads
    dk2 += A1^T @ dA,  dv2 += B1^T @ P                  [D, HEADS W1] @ [HEADS W1, W2]
    dq  = sum_j U_j * K1_j

Six products for each triple and nothing computed twice. Whatever is indexed by channels and keys lies transposed, channels first: then a
product has at least the 64 rows that a warpgroup's matrix instruction wants, and a sum over keys stays within a few lanes.

The accumulators are rings: position ``x`` has the slot ``x mod W``, so when the walk goes on by one position, one column leaves and is
written out and cleared, and no other column moves.

Partial sums are fp32, without the scale: ``part1 [blocks, 2, POSITIONS + W1 - 1, D]`` holds dk1 and dv1 of the positions from ``i_first
- W1 + 1`` on, ``part2`` the same for the second key. Neighbouring blocks overlap; ``reduce.py`` adds them up.
"""

import triton
import triton.language as tl
from torch import Tensor

from simplex_kernels.configs import WindowTile
from simplex_kernels.problem import Problem
from simplex_kernels.tiles import load_seen


@triton.jit
def _leave(out_ptr, acc, leaves, d, D: tl.constexpr):
    """Write out the column of ``acc`` that leaves, and clear it."""
    tl.store(out_ptr + d, tl.sum(tl.where(leaves[None, :], acc, 0.0), 1), mask=d < D)
    return tl.where(leaves[None, :], 0.0, acc)


@triton.jit(do_not_specialize=["first", "S", "w1", "w2"])
def backward_window_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, do_ptr, lse2_ptr, delta_ptr, starts_ptr, dq_ptr, part1_ptr, part2_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, do_stride, first, S, Hkv, w1, w2, scale, scale_log2,
    G: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr, W1: tl.constexpr,
    W2: tl.constexpr,
):  # fmt: skip
    ACC: tl.constexpr = tl.float64 if q_ptr.dtype.element_ty == tl.float64 else tl.float32
    ROWS: tl.constexpr = HEADS * W1
    FAR1: tl.constexpr = (POSITIONS + W1 - 1) * D
    FAR2: tl.constexpr = (POSITIONS + W2 - 1) * D
    blocks = tl.cdiv(S, POSITIONS)
    block = first + tl.program_id(0)
    i_first = block % blocks * POSITIONS
    i_last = min(i_first + POSITIONS, S) - 1
    hkv = (block // blocks % Hkv).to(tl.int64)
    b = (block // blocks // Hkv).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    g = tl.arange(0, HEADS)
    r = tl.arange(0, ROWS)
    in_g = (g < G)[:, None] & (d < D)[None, :]
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
    dk1 = tl.zeros([BLOCK_D, W1], ACC)
    dv1 = tl.zeros([BLOCK_D, W1], ACC)
    dk2 = tl.zeros([BLOCK_D, W2], ACC)
    dv2 = tl.zeros([BLOCK_D, W2], ACC)
    for i in range(i_first, i_last + 1):
        age1 = (i - slot1) & (W1 - 1)
        age2 = (i - slot2) & (W2 - 1)
        age_r = (i - r) & (W1 - 1)
        if i > i_first:
            # position i takes the slot of position i - W, whose sums are complete as far as this block goes
            out1 = part1_ptr + (i - i_first - 1) * D
            out2 = part2_ptr + (i - i_first - 1) * D
            dk1 = _leave(out1, dk1, age1 == 0, d, D)
            dv1 = _leave(out1 + FAR1, dv1, age1 == 0, d, D)
            dk2 = _leave(out2, dk2, age2 == 0, d, D)
            dv2 = _leave(out2 + FAR2, dv2, age2 == 0, d, D)
        start = 0
        if starts_ptr is not None:
            start = tl.load(starts_ptr + b * S + i)
        # what is not seen is not loaded either: its slot holds the oldest key that is seen, and gets weight 0
        oldest1 = min(w1 - 1, i - start)
        oldest2 = min(w2 - 1, i - start)
        back1 = -tl.minimum(age1, oldest1)
        back2 = -tl.minimum(age2, oldest2)
        k1 = load_seen(k1_ptr, i, back1, k1_stride[1], d, D)
        k2 = load_seen(k2_ptr, i, back2, k2_stride[1], d, D)
        far = tl.cast(i, tl.int64)
        q = tl.load(q_ptr + far * q_stride[1] + g[:, None] * q_stride[2] + d[None, :], mask=in_g, other=0.0)
        row = (b * S + i) * (Hkv * G) + hkv * G
        see_r = (r < G * W1) & (age_r <= oldest1)
        lse2 = tl.load(lse2_ptr + row + r // W1, mask=see_r, other=float("inf"))
        delta = tl.load(delta_ptr + row + r // W1, mask=see_r, other=0.0)

        a1 = tl.reshape(k1[None, :, :] * q[:, None, :], [ROWS, BLOCK_D])
        # [ROWS, BLOCK_D] @ [BLOCK_D, W2] -> [ROWS, W2]
        s2 = tl.dot(a1, tl.trans(k2), input_precision="ieee") * scale_log2 - lse2[:, None]
        p = tl.exp2(tl.where((age2 <= oldest2)[None, :], s2, -float("inf")))
        v1 = load_seen(v1_ptr, i, back1, v1_stride[1], d, D)
        v2 = load_seen(v2_ptr, i, back2, v2_stride[1], d, D)
        do = tl.load(do_ptr + far * do_stride[1] + g[:, None] * do_stride[2] + d[None, :], mask=in_g, other=0.0)
        b1 = tl.reshape(v1[None, :, :] * do[:, None, :], [ROWS, BLOCK_D])
        dp = tl.dot(b1, tl.trans(v2), input_precision="ieee")
        da = (p * (dp - delta[:, None])).to(k2.dtype)
        p = p.to(v2.dtype)
        q_t = tl.trans(q.to(ACC))
        do_t = tl.trans(do.to(ACC))
        # [BLOCK_D, W2] @ [W2, ROWS] -> [BLOCK_D, ROWS]
        u = tl.reshape(tl.dot(tl.trans(k2), tl.trans(da), input_precision="ieee"), [BLOCK_D, HEADS, W1])
        dk1 += tl.sum(u * q_t[:, :, None], 1)
        dq = tl.sum(u * tl.trans(k1)[:, None, :], 2) * scale
        tl.store(dq_ptr + (row + g)[None, :] * D + d[:, None], dq.to(dq_ptr.dtype.element_ty), mask=tl.trans(in_g))
        x = tl.reshape(tl.dot(tl.trans(v2), tl.trans(p), input_precision="ieee"), [BLOCK_D, HEADS, W1])
        dv1 += tl.sum(x * do_t[:, :, None], 1)
        # [BLOCK_D, ROWS] @ [ROWS, W2] -> [BLOCK_D, W2]
        if HEADS == 1 and W1 == W2:
            # one head: its factor can wait until after the product (faster where the two windows are equal)
            dk2 += tl.dot(tl.trans(k1), da, input_precision="ieee") * q_t
            dv2 += tl.dot(tl.trans(v1), p, input_precision="ieee") * do_t
        else:
            dk2 += tl.dot(tl.trans(a1), da, input_precision="ieee")
            dv2 += tl.dot(tl.trans(b1), p, input_precision="ieee")
    out1 = part1_ptr + (i_last - ((i_last - slot1) & (W1 - 1)) - (i_first - W1 + 1))[None, :] * D + d[:, None]
    out2 = part2_ptr + (i_last - ((i_last - slot2) & (W2 - 1)) - (i_first - W2 + 1))[None, :] * D + d[:, None]
    in_d = (d < D)[:, None]
    tl.store(out1, dk1, mask=in_d)
    tl.store(out1 + FAR1, dv1, mask=in_d)
    tl.store(out2, dk2, mask=in_d)
    tl.store(out2 + FAR2, dv2, mask=in_d)


def launch(
    p: Problem, tile: WindowTile, lse2: Tensor, delta: Tensor, do: Tensor, dq: Tensor,
    first: int, blocks: int, part1: Tensor, part2: Tensor,
) -> None:  # fmt: skip
    """Fill ``dq`` and the partial sums of ``blocks`` blocks of positions from ``first`` on, counted over batch, key head and position."""
    _, S, _, _, Hkv, _ = p.sizes
    backward_window_kernel[(blocks,)](
        p.q, p.k1, p.k2, p.v1, p.v2, do, lse2, delta, p.starts, dq, part1, part2, *p.strides, do.stride()[:3],
        first=first, S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, scale=p.scale, scale_log2=p.scale_log2, **p.constants,
        POSITIONS=tile.positions, HEADS=triton.next_power_of_2(p.group), W1=p.padded(p.w1), W2=p.padded(p.w2), **tile.options,
    )  # fmt: skip
