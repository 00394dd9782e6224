"""Backward for Hopper, the keys' side: partial sums of dk1, dk2, dv1 and dv2.

Formula, slots and shapes as in ``simplex_kernels/backward_keys.py``. Two warpgroups own 64 second keys each, and the sums
``dKK, dVV [BLOCK_K, D]`` stay in their registers while the queries that see a first key ``j`` pass by, 64 rows a step:

    S^T = K2 @ (q * k1_j)^T,  dP^T = VV @ do^T      [BLOCK_K, D] @ [D, ROWS]        both operands in shared memory
    dVV += P^T @ do,  dKK += dA^T @ q               [BLOCK_K, ROWS] @ [ROWS, D]     operand A from registers

The rows of the step after the next are copied asynchronously; ``q * k1_j`` of the next step is formed while this step's products run.
``lse2`` and ``delta [B, S, H]`` are read as pairs of neighbours.

Right on an H200, and still far from what its products take: chosen only if ``SIMPLEX_KERNELS_HOPPER=1``.
"""

import triton
from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import fence_async_shared, warpgroup_mma, warpgroup_mma_wait

from simplex_kernels.hopper.gluon import barrier, commit_group, copy_to_shared, wait_group
from simplex_kernels.problem import Problem

BLOCK_K, WARPS = 128, 8  # second keys of a program: 64 for each warpgroup
ROWS = 64  # query positions x heads of a step
BLOCK_J = 8  # first keys: neighbouring programs read nearly the same queries, which are still in the L2 cache


@gluon.jit
def fetch_step(
    Q, DO, q_ptr, do_ptr, q_stride, do_stride, x, gap_at, gap, i_lo, i_hi, rows, cols,
    G: gl.constexpr, POSITIONS: gl.constexpr, HEADS: gl.constexpr,
):  # fmt: skip
    """Begin to copy the queries and output gradients of step ``x``; zeros beyond ``i_hi`` and beyond the heads."""
    i0, head = step(x, gap_at, gap, i_lo, G, POSITIONS, HEADS)
    i = i0 + rows // HEADS
    g = head + rows % HEADS
    ok = ((i < i_hi) & (g < G))[:, None]
    far = gl.cast(i0, gl.int64)
    at_q = ((rows // HEADS) * q_stride[1] + g * q_stride[2])[:, None] + cols[None, :]
    at_do = ((rows // HEADS) * do_stride[1] + g * do_stride[2])[:, None] + cols[None, :]
    copy_to_shared(Q, q_ptr + far * q_stride[1] + at_q, mask=ok)
    copy_to_shared(DO, do_ptr + far * do_stride[1] + at_do, mask=ok)
    commit_group()


@gluon.jit
def step(x, gap_at, gap, i_lo, G: gl.constexpr, POSITIONS: gl.constexpr, HEADS: gl.constexpr):
    """First position and first head of step ``x``; from ``gap_at`` on, ``gap`` steps are left out."""
    HEAD_BLOCKS: gl.constexpr = (G + HEADS - 1) // HEADS
    y = x + gl.where(x >= gap_at, gap, 0)
    return i_lo + y // HEAD_BLOCKS * POSITIONS, y % HEAD_BLOCKS * HEADS


@gluon.jit
def _walk(
    dkk, dvv, k1, K2, VV, Q, DO, A, k, start, i_lo, i_hi, x_lo, x_hi, gap_at, gap, q_ptr, do_ptr, lse2_ptr, delta_ptr,
    q_stride, do_stride, w2, H, scale_log2,
    G: gl.constexpr, D: gl.constexpr, POSITIONS: gl.constexpr, HEADS: gl.constexpr, MASKED: gl.constexpr,
    T_LAYOUT: gl.constexpr, O_LAYOUT: gl.constexpr, LOADS: gl.constexpr,
):  # fmt: skip
    """Steps ``x_lo <= x < x_hi`` over the queries ``i_lo <= i < i_hi``; from ``gap_at`` on, ``gap`` steps are left out."""
    ROWS: gl.constexpr = POSITIONS * HEADS
    BLOCK_K: gl.constexpr = dkk.shape[0]
    P: gl.constexpr = gl.DotOperandLayout(0, O_LAYOUT, 2)
    DTYPE: gl.constexpr = q_ptr.dtype.element_ty
    rows = gl.arange(0, ROWS, layout=gl.SliceLayout(1, LOADS))
    cols = gl.arange(0, D, layout=gl.SliceLayout(0, LOADS))
    r = gl.arange(0, ROWS, layout=gl.SliceLayout(0, T_LAYOUT))
    if x_lo < x_hi:
        fetch_step(
            Q.index(x_lo % 2), DO.index(x_lo % 2), q_ptr, do_ptr, q_stride, do_stride, x_lo, gap_at, gap, i_lo, i_hi, rows, cols,
            G, POSITIONS, HEADS,
        )  # fmt: skip
        wait_group(0)
        A.index(x_lo % 2).store(Q.index(x_lo % 2).load(LOADS) * k1[None, :])
        if x_lo + 1 < x_hi:
            fetch_step(
                Q.index((x_lo + 1) % 2), DO.index((x_lo + 1) % 2), q_ptr, do_ptr, q_stride, do_stride, x_lo + 1, gap_at, gap,
                i_lo, i_hi, rows, cols, G, POSITIONS, HEADS,
            )  # fmt: skip
        fence_async_shared()
        barrier()
    for x in range(x_lo, x_hi):
        i0, head = step(x, gap_at, gap, i_lo, G, POSITIONS, HEADS)
        q = Q.index(x % 2)
        do = DO.index(x % 2)
        # [BLOCK_K, D] @ [D, ROWS] -> [BLOCK_K, ROWS]
        s2 = warpgroup_mma(
            K2, A.index(x % 2).permute((1, 0)), gl.zeros([BLOCK_K, ROWS], gl.float32, T_LAYOUT), use_acc=False, is_async=True
        )
        dp = warpgroup_mma(VV, do.permute((1, 0)), gl.zeros([BLOCK_K, ROWS], gl.float32, T_LAYOUT), use_acc=False, is_async=True)
        i = i0 + r // HEADS
        g = head + r % HEADS
        in_rows = (i < i_hi) & (g < G)
        at = gl.cast(i0, gl.int64) * H + head + (r // HEADS * H + r % HEADS)
        if MASKED:
            lse2 = gl.load(lse2_ptr + at, mask=in_rows, other=0.0)
            delta = gl.load(delta_ptr + at, mask=in_rows, other=0.0)
        else:
            lse2 = gl.load(lse2_ptr + at)
            delta = gl.load(delta_ptr + at)
        if x + 1 < x_hi:
            wait_group(0)
            A.index((x + 1) % 2).store(Q.index((x + 1) % 2).load(LOADS) * k1[None, :])
        s2 = warpgroup_mma_wait(1, deps=[s2])
        p = s2 * scale_log2 - lse2[None, :]
        if MASKED:
            see = (k >= start)[:, None] & (k[:, None] <= i[None, :]) & (k[:, None] > i[None, :] - w2) & in_rows[None, :]
            p = gl.where(see, p, -float("inf"))
        p = gl.exp2(p)
        pb = gl.convert_layout(p.to(DTYPE), P)
        dp = warpgroup_mma_wait(0, deps=[dp])
        # [BLOCK_K, ROWS] @ [ROWS, D] -> [BLOCK_K, D]
        dvv = warpgroup_mma(pb, do, dvv, is_async=True)
        da = gl.convert_layout((p * (dp - delta[None, :])).to(DTYPE), P)
        dkk = warpgroup_mma(da, q, dkk, is_async=True)
        dvv, dkk, pb, da = warpgroup_mma_wait(0, deps=[dvv, dkk, pb, da])
        fence_async_shared()
        barrier()
        if x + 2 < x_hi:
            fetch_step(q, do, q_ptr, do_ptr, q_stride, do_stride, x + 2, gap_at, gap, i_lo, i_hi, rows, cols, G, POSITIONS, HEADS)
    return dkk, dvv


@gluon.jit(do_not_specialize=["first", "S", "w1", "w2", "tiles"])
def backward_keys_hopper_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, do_ptr, lse2_ptr, delta_ptr, starts_ptr, ends_ptr, part1_ptr, part2_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, do_stride, first, S, Hkv, w1, w2, tiles, scale_log2,
    G: gl.constexpr, D: gl.constexpr, POSITIONS: gl.constexpr, HEADS: gl.constexpr, BLOCK_J: gl.constexpr, BLOCK_K: gl.constexpr,
):  # fmt: skip
    ROWS: gl.constexpr = POSITIONS * HEADS
    HEAD_BLOCKS: gl.constexpr = (G + HEADS - 1) // HEADS
    WARPS: gl.constexpr = gl.num_warps()
    DTYPE: gl.constexpr = q_ptr.dtype.element_ty
    T_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, ROWS, 16])
    O_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, D, 16])
    LOADS: gl.constexpr = gl.BlockedLayout([1, 8], [32 * 8 // D, D // 8], [WARPS, 1], [1, 0])
    SK: gl.constexpr = gl.NVMMASharedLayout.get_default_for([BLOCK_K, D], DTYPE)
    SQ: gl.constexpr = gl.NVMMASharedLayout.get_default_for([ROWS, D], DTYPE)
    K2 = gl.allocate_shared_memory(DTYPE, [BLOCK_K, D], SK)
    V2 = gl.allocate_shared_memory(DTYPE, [BLOCK_K, D], SK)
    VV = gl.allocate_shared_memory(DTYPE, [BLOCK_K, D], SK)
    Q = gl.allocate_shared_memory(DTYPE, [2, ROWS, D], SQ)
    DO = gl.allocate_shared_memory(DTYPE, [2, ROWS, D], SQ)
    A = gl.allocate_shared_memory(DTYPE, [2, ROWS, D], SQ)
    blocks = gl.cdiv(S, BLOCK_J)
    local = gl.program_id(0) // tiles
    tile = gl.program_id(0) % tiles
    block = first + local
    hkv = (block // blocks % Hkv).to(gl.int64)
    b = (block // blocks // Hkv).to(gl.int64)
    H = Hkv * G
    j0 = block % blocks * BLOCK_J
    k0 = j0 - w2 + 1 + tile * BLOCK_K
    k = k0 + gl.arange(0, BLOCK_K, layout=gl.SliceLayout(1, T_LAYOUT))
    q_ptr += b * q_stride[0] + hkv * G * q_stride[2]
    do_ptr += b * do_stride[0] + hkv * G * do_stride[2]
    lse2_ptr += b * S * H + hkv * G
    delta_ptr += b * S * H + hkv * G
    k1_ptr += b * k1_stride[0] + hkv * k1_stride[2]
    k2_ptr += b * k2_stride[0] + hkv * k2_stride[2]
    v1_ptr += b * v1_stride[0] + hkv * v1_stride[2]
    v2_ptr += b * v2_stride[0] + hkv * v2_stride[2]
    part1_ptr += gl.program_id(0).to(gl.int64) * (2 * BLOCK_J * D)
    part2_ptr += local.to(gl.int64) * (2 * tiles * BLOCK_K * D) + tile * (BLOCK_K * D)
    rl = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(1, LOADS))
    dl = gl.arange(0, D, layout=gl.SliceLayout(0, LOADS))
    in_l = ((k0 + rl >= 0) & (k0 + rl < S))[:, None]
    far = gl.cast(k0, gl.int64)
    K2.store(gl.load(k2_ptr + far * k2_stride[1] + rl[:, None] * k2_stride[1] + dl[None, :], mask=in_l, other=0.0))
    V2.store(gl.load(v2_ptr + far * v2_stride[1] + rl[:, None] * v2_stride[1] + dl[None, :], mask=in_l, other=0.0))
    n_o = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(1, O_LAYOUT))
    d_o = gl.arange(0, D, layout=gl.SliceLayout(0, O_LAYOUT))
    at_dk2 = part2_ptr + n_o[:, None] * D + d_o[None, :]
    at_dv2 = at_dk2 + gl.cast(tiles, gl.int64) * (BLOCK_K * D)
    for j in range(j0, gl.minimum(j0 + BLOCK_J, S)):
        start = 0
        end = S
        if starts_ptr is not None:
            start = gl.load(starts_ptr + b * S + j)
            end = gl.load(ends_ptr + b * S + j) + 1
        far = gl.cast(j, gl.int64)
        k1 = gl.load(k1_ptr + far * k1_stride[1] + dl)
        VV.store(V2.load(LOADS) * gl.load(v1_ptr + far * v1_stride[1] + dl)[None, :])
        fence_async_shared()
        barrier()
        i_lo = gl.maximum(j, k0)
        i_hi = gl.maximum(gl.minimum(gl.minimum(j + w1, k0 + BLOCK_K + w2 - 1), end), i_lo)
        if k0 + BLOCK_K <= start:
            i_hi = i_lo
        dkk = gl.zeros([BLOCK_K, D], gl.float32, O_LAYOUT)
        dvv = gl.zeros([BLOCK_K, D], gl.float32, O_LAYOUT)
        if POSITIONS == 1:
            full_lo = gl.minimum(gl.maximum(i_lo, k0 + BLOCK_K - 1), i_hi)
            full_hi = gl.maximum(gl.minimum(i_hi, k0 + w2), full_lo)
            if k0 < start:
                full_hi = full_lo
            lo = (full_lo - i_lo) * HEAD_BLOCKS
            gap = (full_hi - full_lo) * HEAD_BLOCKS
            steps = (i_hi - i_lo) * HEAD_BLOCKS
            dkk, dvv = _walk(
                dkk, dvv, k1, K2, VV, Q, DO, A, k, start, i_lo, i_hi, lo, lo + gap, steps, 0, q_ptr, do_ptr, lse2_ptr, delta_ptr,
                q_stride, do_stride, w2, H, scale_log2, G, D, POSITIONS, HEADS, G % HEADS != 0, T_LAYOUT, O_LAYOUT, LOADS,
            )  # fmt: skip
            dkk, dvv = _walk(
                dkk, dvv, k1, K2, VV, Q, DO, A, k, start, i_lo, i_hi, 0, steps - gap, lo, gap, q_ptr, do_ptr, lse2_ptr, delta_ptr,
                q_stride, do_stride, w2, H, scale_log2, G, D, POSITIONS, HEADS, True, T_LAYOUT, O_LAYOUT, LOADS,
            )  # fmt: skip
        else:
            steps = gl.cdiv(i_hi - i_lo, POSITIONS) * HEAD_BLOCKS
            dkk, dvv = _walk(
                dkk, dvv, k1, K2, VV, Q, DO, A, k, start, i_lo, i_hi, 0, steps, steps, 0, q_ptr, do_ptr, lse2_ptr, delta_ptr,
                q_stride, do_stride, w2, H, scale_log2, G, D, POSITIONS, HEADS, True, T_LAYOUT, O_LAYOUT, LOADS,
            )  # fmt: skip
        k1o = gl.load(k1_ptr + far * k1_stride[1] + d_o).to(gl.float32)
        v1o = gl.load(v1_ptr + far * v1_stride[1] + d_o).to(gl.float32)
        dk1 = gl.sum(dkk * K2.load(O_LAYOUT).to(gl.float32), 0)
        dv1 = gl.sum(dvv * V2.load(O_LAYOUT).to(gl.float32), 0)
        dk2 = dkk * k1o[None, :]
        dv2 = dvv * v1o[None, :]
        # dk2 and dv2 are kept in memory, not in registers: they are touched once for every j, the loop over queries needs the room
        seen = (d_o < gl.where(j > j0, D, 0))[None, :] & (n_o >= 0)[:, None]
        dk2 += gl.load(at_dk2, mask=seen, other=0.0)
        dv2 += gl.load(at_dv2, mask=seen, other=0.0)
        gl.store(at_dk2, dk2)
        gl.store(at_dv2, dv2)
        barrier()  # the next j adds to what other threads have just written, and writes VV
        gl.store(part1_ptr + (j - j0) * D + d_o, dk1)
        gl.store(part1_ptr + (BLOCK_J + j - j0) * D + d_o, dv1)


def tiles(p: Problem) -> int:
    """Tiles of second keys that the queries of a block of first keys see: positions ``j0 - w2 + 1`` to ``j0 + BLOCK_J + w1 - 2``."""
    return triton.cdiv(BLOCK_J + p.w1 + p.w2 - 2, BLOCK_K)


def launch(p: Problem, do: Tensor, lse2: Tensor, delta: Tensor, first: int, blocks: int, part1: Tensor, part2: Tensor) -> None:
    """Fill the partial sums of ``blocks`` blocks of first keys, from block ``first`` on, counted over batch, key head and position."""
    _, S, _, _, Hkv, D = p.sizes
    n = tiles(p)
    heads = min(triton.next_power_of_2(p.group), ROWS)
    backward_keys_hopper_kernel[(blocks * n,)](
        p.q, p.k1, p.k2, p.v1, p.v2, do, lse2, delta, p.starts, p.ends, part1, part2, *p.strides, do.stride()[:3],
        first=first, S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, tiles=n, scale_log2=p.scale_log2,
        G=p.group, D=D, POSITIONS=ROWS // heads, HEADS=heads, BLOCK_J=BLOCK_J, BLOCK_K=BLOCK_K, num_warps=WARPS,
    )  # fmt: skip
