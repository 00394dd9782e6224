"""Backward for Hopper, the query's side: dq.

Formula and shapes as in ``simplex_kernels/backward_query.py``; rows, tiles and loops are those of ``hopper/forward.py``. Three products,
each with its operand A in registers:

    s2 = (q * k1_j) @ K2^T,  dP = (do * v1_j) @ V2^T     [ROWS, D] @ [D, BLOCK_K]
    dq += (dA @ K2) * k1_j                               [ROWS, BLOCK_K] @ [BLOCK_K, D]

``q`` and ``do`` wait in shared memory, since dq, the logits and dP fill the registers. Channels are in the order of ``tiles.channel``
throughout, and so dq comes out in it. The two warpgroups take turns at the tensor cores, three times a step: while one has them for S, the
other forms its operand of dP, and while one has them for dP, the other computes exponentials.

What a step of both warpgroups takes on a multiprocessor, in clocks (see ``hopper/forward.py``): products 3,072, exponentials 1,024,
operands of the products from shared memory 1,536, ``q`` and ``do`` from there 512, rows of K1 and V1 384.

Right on an H200 in an earlier form; in this one compiled for Triton 3.6 and 3.7.1 and not run: chosen only if ``SIMPLEX_KERNELS_HOPPER=1``.
"""

import torch
import triton
from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import fence_async_shared, warpgroup_mma, warpgroup_mma_wait

from simplex_kernels.hopper.gluon import barrier, commit_group, wait_group
from simplex_kernels.hopper.tiles import ROWS, WARPS, channel, fetch, in_order, lanes, load_row
from simplex_kernels.hopper.turns import begin_turns, end_turns, pass_on, turn_for
from simplex_kernels.problem import Problem


@gluon.jit
def _sweep(
    dq, Q, DO, lse2, delta, i, start, j_lo, k_lo, end, t_lo, t_hi, gap_at, gap,
    k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride, k2_stride, v1_stride, v2_stride, w1, w2, scale_log2, K2, V2,
    D: gl.constexpr, BLOCK_K: gl.constexpr, POSITIONS: gl.constexpr, MASKED: gl.constexpr,
    S_LAYOUT: gl.constexpr, O_LAYOUT: gl.constexpr, LOADS: gl.constexpr, LANES: gl.constexpr,
):  # fmt: skip
    """Tiles ``t_lo <= t < t_hi`` of second keys (from ``gap_at`` on, ``gap`` tiles are left out) against all first keys."""
    A: gl.constexpr = gl.DotOperandLayout(0, S_LAYOUT, 2)
    P: gl.constexpr = gl.DotOperandLayout(0, O_LAYOUT, 2)
    ROWS: gl.constexpr = dq.shape[0]
    DTYPE: gl.constexpr = k2_ptr.dtype.element_ty
    rows = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(1, LOADS))
    cols = gl.arange(0, D, layout=gl.SliceLayout(0, LOADS))
    n = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(0, S_LAYOUT))
    if t_lo < t_hi:
        k0 = k_lo + (t_lo + gl.where(t_lo >= gap_at, gap, 0)) * BLOCK_K
        fetch(K2.index(t_lo % 2), k2_ptr, k0, end, k2_stride, rows, cols)
        fetch(V2.index(t_lo % 2), v2_ptr, k0, end, v2_stride, rows, cols)
        commit_group()
    for t in range(t_lo, t_hi):
        k0 = k_lo + (t + gl.where(t >= gap_at, gap, 0)) * BLOCK_K
        if t + 1 < t_hi:
            k_next = k_lo + (t + 1 + gl.where(t + 1 >= gap_at, gap, 0)) * BLOCK_K
            fetch(K2.index((t + 1) % 2), k2_ptr, k_next, end, k2_stride, rows, cols)
            fetch(V2.index((t + 1) % 2), v2_ptr, k_next, end, v2_stride, rows, cols)
        commit_group()
        wait_group(1)
        fence_async_shared()
        barrier()
        k2 = K2.index(t % 2)
        v2 = V2.index(t % 2)
        if MASKED:
            k = k0 + n
            see_k = (k[None, :] <= i[:, None]) & (k[None, :] > i[:, None] - w2) & (k[None, :] >= start[:, None])
        for j in range(j_lo, end):
            # [ROWS, D] @ [D, BLOCK_K] -> [ROWS, BLOCK_K]
            a = turn_for(Q.load(A) * load_row(k1_ptr, j, k1_stride, D, LANES, gl.SliceLayout(0, A))[None, :])
            s2 = warpgroup_mma(a, k2.permute((1, 0)), gl.zeros([ROWS, BLOCK_K], gl.float32, S_LAYOUT), use_acc=False, is_async=True)
            pass_on(j)
            s2 = warpgroup_mma_wait(0, deps=[s2, a])[0]
            b = turn_for(DO.load(A) * load_row(v1_ptr, j, v1_stride, D, LANES, gl.SliceLayout(0, A))[None, :])
            dp = warpgroup_mma(b, v2.permute((1, 0)), gl.zeros([ROWS, BLOCK_K], gl.float32, S_LAYOUT), use_acc=False, is_async=True)
            pass_on(j)
            pivot = lse2
            if POSITIONS > 1:
                pivot = gl.where((j <= i) & (j > i - w1) & (j >= start), lse2, float("inf"))
            p = gl.exp2(s2 * scale_log2 - pivot[:, None])
            if MASKED:
                p = gl.where(see_k, p, 0.0)
            dp = warpgroup_mma_wait(0, deps=[dp, b])[0]
            da = turn_for(gl.convert_layout((p * (dp - delta[:, None])).to(DTYPE), P))
            # [ROWS, BLOCK_K] @ [BLOCK_K, D] -> [ROWS, D]
            u = warpgroup_mma(da, k2, gl.zeros([ROWS, D], gl.float32, O_LAYOUT), use_acc=False, is_async=True)
            k1 = load_row(k1_ptr, j, k1_stride, D, LANES, gl.SliceLayout(0, O_LAYOUT))
            pass_on(j)
            u = warpgroup_mma_wait(0, deps=[u, da])[0]
            dq += u * k1.to(gl.float32)[None, :]
        barrier()  # both warpgroups are done with the buffers that the next copies fill
    return dq


@gluon.jit(do_not_specialize=["S", "w1", "w2"])
def backward_query_hopper_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, do_ptr, lse2_ptr, delta_ptr, starts_ptr, dq_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, do_stride, S, Hkv, w1, w2, scale, scale_log2,
    G: gl.constexpr, D: gl.constexpr, POSITIONS: gl.constexpr, HEADS: gl.constexpr, BLOCK_K: gl.constexpr,
):  # fmt: skip
    ROWS: gl.constexpr = POSITIONS * HEADS
    HEAD_BLOCKS: gl.constexpr = (G + HEADS - 1) // HEADS
    WARPS: gl.constexpr = gl.num_warps()
    DTYPE: gl.constexpr = q_ptr.dtype.element_ty
    S_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, BLOCK_K, 16])
    O_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, D, 16])
    LOADS: gl.constexpr = gl.BlockedLayout([1, 8], [32 * 8 // D, D // 8], [WARPS, 1], [1, 0])
    LANES: gl.constexpr = lanes(D, WARPS)
    SHARED: gl.constexpr = gl.NVMMASharedLayout.get_default_for([BLOCK_K, D], DTYPE)
    SHARED_Q: gl.constexpr = gl.NVMMASharedLayout.get_default_for([ROWS, D], DTYPE)
    K2 = gl.allocate_shared_memory(DTYPE, [2, BLOCK_K, D], SHARED)
    V2 = gl.allocate_shared_memory(DTYPE, [2, BLOCK_K, D], SHARED)
    Q = gl.allocate_shared_memory(DTYPE, [ROWS, D], SHARED_Q)
    DO = gl.allocate_shared_memory(DTYPE, [ROWS, D], SHARED_Q)

    begin_turns(S)
    position_blocks = gl.cdiv(S, POSITIONS)
    pid = gl.program_id(0)
    head_block = pid % HEAD_BLOCKS
    i_first = pid // HEAD_BLOCKS % position_blocks * POSITIONS
    hkv = (pid // HEAD_BLOCKS // position_blocks % Hkv).to(gl.int64)
    b = (pid // HEAD_BLOCKS // position_blocks // Hkv).to(gl.int64)
    i_last = gl.minimum(i_first + POSITIONS, S) - 1
    r_l = gl.arange(0, ROWS, layout=gl.SliceLayout(1, LOADS))
    d_l = gl.arange(0, D, layout=gl.SliceLayout(0, LOADS))
    r_s = gl.arange(0, ROWS, layout=gl.SliceLayout(1, S_LAYOUT))
    r_o = gl.arange(0, ROWS, layout=gl.SliceLayout(1, O_LAYOUT))
    d_o = gl.arange(0, D, layout=gl.SliceLayout(0, O_LAYOUT))
    i_l = i_first + r_l // HEADS
    g_l = head_block * HEADS + r_l % HEADS
    in_l = ((i_l < S) & (g_l < G))[:, None]
    q_rows = q_ptr + b * q_stride[0] + (i_l.to(gl.int64) * q_stride[1] + (hkv * G + g_l) * q_stride[2])[:, None]
    Q.store(gl.load(q_rows + channel(d_l)[None, :], mask=in_l, other=0.0))
    do_rows = do_ptr + b * do_stride[0] + (i_l.to(gl.int64) * do_stride[1] + (hkv * G + g_l) * do_stride[2])[:, None]
    DO.store(gl.load(do_rows + channel(d_l)[None, :], mask=in_l, other=0.0))
    barrier()
    i = i_first + r_s // HEADS
    g = head_block * HEADS + r_s % HEADS
    in_s = (i < S) & (g < G)
    row = (b * S + i) * (Hkv * G) + hkv * G + g
    lse2 = gl.load(lse2_ptr + row, mask=in_s, other=0.0)
    delta = gl.load(delta_ptr + row, mask=in_s, other=0.0)
    start = gl.zeros([ROWS], gl.int32, gl.SliceLayout(1, S_LAYOUT))
    start_first = 0
    start_last = 0
    if starts_ptr is not None:
        start = gl.load(starts_ptr + b * S + i, mask=i < S, other=0)
        start_first = gl.load(starts_ptr + b * S + i_first)
        start_last = gl.load(starts_ptr + b * S + i_last)
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]
    j_lo = gl.maximum(i_first - w1 + 1, start_first)
    k_lo = gl.maximum(i_first - w2 + 1, start_first)
    end = i_last + 1
    tiles = gl.cdiv(end - k_lo, BLOCK_K)
    full_lo = gl.minimum(gl.cdiv(gl.maximum(gl.maximum(i_last - w2 + 1, start_last) - k_lo, 0), BLOCK_K), tiles)
    full_hi = gl.maximum((i_first + 1 - k_lo) // BLOCK_K, full_lo)
    full = full_hi - full_lo
    dq = gl.zeros([ROWS, D], gl.float32, O_LAYOUT)
    dq = _sweep(
        dq, Q, DO, lse2, delta, i, start, j_lo, k_lo, end, full_lo, full_hi, tiles, 0,
        k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, K2, V2,
        D, BLOCK_K, POSITIONS, False, S_LAYOUT, O_LAYOUT, LOADS, LANES,
    )  # fmt: skip
    dq = _sweep(
        dq, Q, DO, lse2, delta, i, start, j_lo, k_lo, end, 0, tiles - full, full_lo, full,
        k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, K2, V2,
        D, BLOCK_K, POSITIONS, True, S_LAYOUT, O_LAYOUT, LOADS, LANES,
    )  # fmt: skip
    end_turns(S)
    s_o = i_first + r_o // HEADS
    g_o = head_block * HEADS + r_o % HEADS
    row = (b * S + s_o) * (Hkv * G) + hkv * G + g_o
    gl.store(dq_ptr + row[:, None] * D + channel(d_o)[None, :], (dq * scale).to(DTYPE), mask=((s_o < S) & (g_o < G))[:, None])


def launch(p: Problem, lse2: Tensor, delta: Tensor, do: Tensor) -> Tensor:
    """``dq [B, S, H, D]`` of an oriented problem; ``lse2`` and ``delta`` are ``[B, S, H]``, contiguous."""
    B, S, _, H, Hkv, D = p.sizes
    dq = torch.empty(B, S, H, D, dtype=p.q.dtype, device=p.q.device)
    k2, v2 = in_order(p.k2), in_order(p.v2)
    heads = min(triton.next_power_of_2(p.group), ROWS)
    positions = ROWS // heads
    programs = triton.cdiv(S, positions) * triton.cdiv(p.group, heads) * Hkv * B
    q_stride, k1_stride, _, v1_stride, _ = p.strides
    strides = q_stride, k1_stride, k2.stride()[:3], v1_stride, v2.stride()[:3], do.stride()[:3]
    backward_query_hopper_kernel[(programs,)](
        p.q, p.k1, k2, p.v1, v2, do, lse2, delta, p.starts, dq, *strides,
        S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, scale=p.scale, scale_log2=p.scale_log2,
        G=p.group, D=D, POSITIONS=positions, HEADS=heads, BLOCK_K=128, num_warps=WARPS,
    )  # fmt: skip
    return dq
