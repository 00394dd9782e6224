"""Forward for Hopper: 128 rows in two warpgroups against a tile of pairs, K2 and V2 in shared memory, the other operand in registers.

Formula and shapes as in ``simplex_kernels/forward.py``, whose pivot and certificate it shares. What is different is said explicitly here,
where a compiler chooses there:

    s2  = (q * k1_j) @ K2^T     [ROWS, D] @ [D, BLOCK_K]        operand A from registers: q * k1_j never sees shared memory
    acc += (P @ V2) * v1_j      [ROWS, BLOCK_K] @ [BLOCK_K, D]  operand A from registers: P is only rounded and reordered

V2 is laid out anew beforehand, its channels in an order in which each thread holds neighbours. The next tile of K2 and V2 is copied
asynchronously while this one is used. The two warpgroups take turns at the tensor cores (``turns.py``). A row's sum of weights is kept by
the four threads that hold the row, each for its own columns, and added up at the end.

What a step of both warpgroups takes on a multiprocessor, in clocks: products 2,048 (4,096 FLOPs a clock), exponentials 1,024 (16 a clock),
the operands of the products from shared memory 1,024 (128 bytes a clock), rows of K1 and V1 through the same port 256, instructions about
1,000 (one a clock for each of four schedulers).

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

C0, C1, C2, C3 = "0f3F7FFB49", "0f3F31798D", "0f3E786F0D", "0f3D61FBB0"  # within 7.5e-5 of 2^r, relative
LOWEST = gl.constexpr(-1.0e30)  # stands for minus infinity in a running maximum
PIVOT_TRY = gl.constexpr(100.0)  # these three: see simplex_kernels/forward.py
PIVOT_SAFE = gl.constexpr(2.0**-80)
PIVOT_LIMIT = gl.constexpr(2.0**100)
SLACK = gl.constexpr(1.02)


@gluon.constexpr_function
def exp2_code(by_products):
    """PTX for eight exponentials: all but the last ``by_products`` by the special-function unit, those by a polynomial."""
    lines = [f"ex2.approx.ftz.f32 ${n}, ${n + 8};" for n in range(8 - by_products)]
    for n in range(8 - by_products, 8):
        lines += [
            f"max.ftz.f32 r, ${n + 8}, 0fC2FC0000;",  # at least -126: the result stays normal
            "add.ftz.f32 t, r, 0f4B400000;",  # 1.5 * 2^23: the nearest whole number stands in the last bits of t
            "sub.ftz.f32 y, t, 0f4B400000;",
            "sub.ftz.f32 r, r, y;",  # -1/2 <= r <= 1/2
            f"fma.rn.ftz.f32 y, r, {C3}, {C2};",
            f"fma.rn.ftz.f32 y, r, y, {C1};",
            f"fma.rn.ftz.f32 y, r, y, {C0};",
            "mov.b32 a, t;",
            "mov.b32 c, y;",
            "shl.b32 a, a, 23;",
            "add.s32 a, a, c;",
            f"mov.b32 ${n}, a;",
        ]
    return "{ .reg .f32 r, t, y; .reg .b32 a, c; " + " ".join(lines) + " }"


@gluon.jit
def exp2(x, BY_PRODUCTS: gl.constexpr):
    """``2^x``. The special-function unit takes as long for the weights of a step as the tensor cores for its products."""
    if BY_PRODUCTS == 0:
        return gl.exp2(x)
    else:
        code: gl.constexpr = exp2_code(BY_PRODUCTS)
        return gl.inline_asm_elementwise(code, "=f,=f,=f,=f,=f,=f,=f,=f,f,f,f,f,f,f,f,f", [x], gl.float32, is_pure=True, pack=8)


@gluon.jit
def by_thread(p):
    """``[ROWS, columns] -> [ROWS, 4]``: each of the four threads that share a row adds its own columns, and nothing moves between them."""
    return gl.sum(gl.sum(p.reshape([p.shape[0], p.shape[1] // 8, 4, 2]), 3), 1)


@gluon.jit
def _sweep(
    acc, part, m, q, i, start, j_lo, k_lo, end, t_lo, t_hi, gap_at, gap,
    k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride, k2_stride, v1_stride, v2_stride, w1, w2, scale_log2, K2, V2,
    D: gl.constexpr, BLOCK_K: gl.constexpr, POSITIONS: gl.constexpr, MASKED: gl.constexpr, ONLINE: gl.constexpr,
    S_LAYOUT: gl.constexpr, O_LAYOUT: gl.constexpr, LOADS: gl.constexpr, LANES: gl.constexpr, BY_PRODUCTS: gl.constexpr,
):  # fmt: skip
    """Tiles ``t_lo <= t < t_hi`` of second keys (from ``gap_at`` on, ``gap`` tiles are left out) against all first keys."""
    A: gl.constexpr = gl.DotOperandLayout(0, S_LAYOUT, 2)
    P: gl.constexpr = gl.DotOperandLayout(0, O_LAYOUT, 2)
    ROWS: gl.constexpr = q.shape[0]
    rows = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(1, LOADS))
    cols = gl.arange(0, D, layout=gl.SliceLayout(0, LOADS))
    d_a = gl.arange(0, D, layout=gl.SliceLayout(0, A))
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
        k2 = K2.index(t % 2).permute((1, 0))
        v2 = V2.index(t % 2)
        if MASKED:
            k = k0 + n
            see_k = (k[None, :] <= i[:, None]) & (k[None, :] > i[:, None] - w2) & (k[None, :] >= start[:, None])
        for j in range(j_lo, end):
            # [ROWS, D] @ [D, BLOCK_K] -> [ROWS, BLOCK_K]
            a = turn_for(q * gl.load(k1_ptr + gl.cast(j, gl.int64) * k1_stride + d_a)[None, :])
            s2 = warpgroup_mma(a, k2, gl.zeros([ROWS, BLOCK_K], gl.float32, S_LAYOUT), use_acc=False, is_async=True)
            pass_on(j)
            s2 = warpgroup_mma_wait(0, deps=[s2, a])[0] * scale_log2
            if POSITIONS > 1:
                see_j = (j <= i) & (j > i - w1) & (j >= start)
            if ONLINE:
                if MASKED:
                    s2 = gl.where(see_k, s2, -float("inf"))
                top = gl.max(s2, 1)
                if POSITIONS > 1:
                    top = gl.where(see_j, top, LOWEST)
                m_new = gl.maximum(m, top)
                alpha = gl.exp2(m - m_new)
                m = m_new
                part *= gl.convert_layout(alpha, gl.SliceLayout(1, part.type.layout))[:, None]
                acc *= gl.convert_layout(alpha, gl.SliceLayout(1, O_LAYOUT))[:, None]
                if POSITIONS > 1:
                    m_new = gl.where(see_j, m_new, -LOWEST)  # a row that does not see j gets weights of 0
                p = gl.exp2(s2 - m_new[:, None])
            else:
                pivot = m
                if POSITIONS > 1:
                    pivot = gl.where(see_j, m, float("inf"))  # a row that does not see j gets weights of 0
                p = exp2(s2 - pivot[:, None], BY_PRODUCTS)
                if MASKED:
                    p = gl.where(see_k, p, 0.0)
            part += by_thread(p)
            # [ROWS, BLOCK_K] @ [BLOCK_K, D] -> [ROWS, D]
            p = turn_for(gl.convert_layout(p.to(q.dtype), P))
            pv = warpgroup_mma(p, v2, gl.zeros([ROWS, D], gl.float32, O_LAYOUT), use_acc=False, is_async=True)
            v1 = load_row(v1_ptr, j, v1_stride, D, LANES, gl.SliceLayout(0, O_LAYOUT))
            pass_on(j)
            pv = warpgroup_mma_wait(0, deps=[pv, p])[0]
            acc += pv * v1.to(gl.float32)[None, :]
        barrier()  # both warpgroups are done with the buffer that the next copy fills
    return acc, part, m


@gluon.jit(do_not_specialize=["S", "w1", "w2"])
def forward_hopper_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, lse2_ptr, k2_norm_ptr, starts_ptr,
    q_stride, k1_stride, k2_stride, v1_stride, v2_stride, S, Hkv, w1, w2, scale_log2,
    G: gl.constexpr, D: gl.constexpr, POSITIONS: gl.constexpr, HEADS: gl.constexpr, BLOCK_K: gl.constexpr, PIVOT: gl.constexpr,
    BY_PRODUCTS: gl.constexpr,
):  # fmt: skip
    ROWS: gl.constexpr = POSITIONS * HEADS
    HEAD_BLOCKS: gl.constexpr = (G + HEADS - 1) // HEADS
    WARPS: gl.constexpr = gl.num_warps()
    DTYPE: gl.constexpr = q_ptr.dtype.element_ty
    S_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, BLOCK_K, 16])
    O_LAYOUT: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, D, 16])
    A: gl.constexpr = gl.DotOperandLayout(0, S_LAYOUT, 2)
    LOADS: gl.constexpr = gl.BlockedLayout([1, 8], [32 * 8 // D, D // 8], [WARPS, 1], [1, 0])
    # a quarter of a row's channels for each of four lanes, the same for all rows
    LANES: gl.constexpr = lanes(D, WARPS)
    SHARED: gl.constexpr = gl.NVMMASharedLayout.get_default_for([BLOCK_K, D], DTYPE)
    K2 = gl.allocate_shared_memory(DTYPE, [2, BLOCK_K, D], SHARED)
    V2 = gl.allocate_shared_memory(DTYPE, [2, BLOCK_K, D], SHARED)

    begin_turns(S)
    position_blocks = gl.cdiv(S, POSITIONS)
    pid = gl.program_id(0)
    head_block = pid % HEAD_BLOCKS
    i_first = pid // HEAD_BLOCKS % position_blocks * POSITIONS
    hkv = (pid // HEAD_BLOCKS // position_blocks % Hkv).to(gl.int64)
    b = (pid // HEAD_BLOCKS // position_blocks // Hkv).to(gl.int64)
    i_last = gl.minimum(i_first + POSITIONS, S) - 1

    # rows and channels as operand A, as logits and as output
    r_a = gl.arange(0, ROWS, layout=gl.SliceLayout(1, A))
    r_s = gl.arange(0, ROWS, layout=gl.SliceLayout(1, S_LAYOUT))
    r_o = gl.arange(0, ROWS, layout=gl.SliceLayout(1, O_LAYOUT))
    d_a = gl.arange(0, D, layout=gl.SliceLayout(0, A))
    d_o = gl.arange(0, D, layout=gl.SliceLayout(0, O_LAYOUT))
    i_a = i_first + r_a // HEADS
    g_a = head_block * HEADS + r_a % HEADS
    q_rows = q_ptr + b * q_stride[0] + (i_a.to(gl.int64) * q_stride[1] + (hkv * G + g_a) * q_stride[2])[:, None]
    q = gl.load(q_rows + d_a[None, :], mask=((i_a < S) & (g_a < G))[:, None], other=0.0)
    i = i_first + r_s // HEADS
    in_s = (i < S) & (head_block * HEADS + r_s % HEADS < G)
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

    # first and second keys that some row sees, and the tiles [full_lo, full_hi) of second keys that all rows see whole
    j_lo = gl.maximum(i_first - w1 + 1, start_first)
    k_lo = gl.maximum(i_first - w2 + 1, start_first)
    end = i_last + 1
    tiles = gl.cdiv(end - k_lo, BLOCK_K)
    full_lo = gl.minimum(gl.cdiv(gl.maximum(gl.maximum(i_last - w2 + 1, start_last) - k_lo, 0), BLOCK_K), tiles)
    full_hi = gl.maximum((i_first + 1 - k_lo) // BLOCK_K, full_lo)
    full = full_hi - full_lo

    acc = gl.zeros([ROWS, D], gl.float32, O_LAYOUT)
    part = by_thread(gl.zeros([ROWS, BLOCK_K], gl.float32, S_LAYOUT))
    m = gl.full([ROWS], LOWEST, gl.float32, gl.SliceLayout(1, S_LAYOUT))
    certified = False
    if PIVOT:
        # bound >= max_jk s2 of each row: |s2| <= |q * k1_j| |k2_k| scale_log2
        rows = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(1, LOADS))
        cols = gl.arange(0, D, layout=gl.SliceLayout(0, LOADS))
        top1 = gl.zeros([ROWS], gl.float32, gl.SliceLayout(1, S_LAYOUT))
        for j0 in range(j_lo, end, BLOCK_K):
            at = k1_ptr + gl.cast(j0, gl.int64) * k1_stride[1] + rows[:, None] * k1_stride[1] + cols[None, :]
            k1 = gl.load(at, mask=(j0 + rows < end)[:, None], other=0.0)
            K2.index(0).store(k1 * k1)
            fence_async_shared()
            barrier()
            squares = q * q
            s2 = gl.zeros([ROWS, BLOCK_K], gl.float32, S_LAYOUT)
            s2 = warpgroup_mma(squares, K2.index(0).permute((1, 0)), s2, use_acc=False, is_async=True)
            s2 = warpgroup_mma_wait(0, deps=[s2, squares])[0]
            top1 = gl.maximum(top1, gl.max(s2, 1))
            barrier()
        k = gl.arange(0, BLOCK_K, layout=gl.SliceLayout(0, S_LAYOUT))
        top2 = gl.zeros([BLOCK_K], gl.float32, gl.SliceLayout(0, S_LAYOUT))
        for k0 in range(k_lo, end, BLOCK_K):
            top2 = gl.maximum(top2, gl.load(k2_norm_ptr + (b * S + k0 + k) * Hkv + hkv, mask=k0 + k < end, other=0.0))
        bound = gl.sqrt(top1) * (gl.max(top2, 0) * (SLACK * gl.abs(scale_log2)))
        if gl.max(bound, 0) <= PIVOT_TRY:
            acc, part, m = _sweep(
                acc, part, bound, q, i, start, j_lo, k_lo, end, full_lo, full_hi, tiles, 0,
                k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, K2, V2,
                D, BLOCK_K, POSITIONS, False, False, S_LAYOUT, O_LAYOUT, LOADS, LANES, BY_PRODUCTS,
            )  # fmt: skip
            acc, part, m = _sweep(
                acc, part, m, q, i, start, j_lo, k_lo, end, 0, tiles - full, full_lo, full,
                k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, K2, V2,
                D, BLOCK_K, POSITIONS, True, False, S_LAYOUT, O_LAYOUT, LOADS, LANES, BY_PRODUCTS,
            )  # fmt: skip
            l = gl.where(in_s, gl.convert_layout(gl.sum(part, 1), gl.SliceLayout(1, S_LAYOUT)), 1.0)
            certified = (gl.min(l, 0) >= PIVOT_SAFE) & (gl.max(l, 0) <= PIVOT_LIMIT)
    if not certified:
        acc = gl.zeros([ROWS, D], gl.float32, O_LAYOUT)
        part = by_thread(gl.zeros([ROWS, BLOCK_K], gl.float32, S_LAYOUT))
        m = gl.full([ROWS], LOWEST, gl.float32, gl.SliceLayout(1, S_LAYOUT))
        acc, part, m = _sweep(
            acc, part, m, q, i, start, j_lo, k_lo, end, full_lo, full_hi, tiles, 0,
            k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, K2, V2,
            D, BLOCK_K, POSITIONS, False, True, S_LAYOUT, O_LAYOUT, LOADS, LANES, BY_PRODUCTS,
        )  # fmt: skip
        acc, part, m = _sweep(
            acc, part, m, q, i, start, j_lo, k_lo, end, 0, tiles - full, full_lo, full,
            k1_ptr, k2_ptr, v1_ptr, v2_ptr, k1_stride[1], k2_stride[1], v1_stride[1], v2_stride[1], w1, w2, scale_log2, K2, V2,
            D, BLOCK_K, POSITIONS, True, True, S_LAYOUT, O_LAYOUT, LOADS, LANES, BY_PRODUCTS,
        )  # fmt: skip

    end_turns(S)
    l = gl.where(in_s, gl.convert_layout(gl.sum(part, 1), gl.SliceLayout(1, S_LAYOUT)), 1.0)
    row = (b * S + i) * (Hkv * G) + hkv * G + head_block * HEADS + r_s % HEADS
    gl.store(lse2_ptr + row, m + gl.log2(l), mask=in_s)
    s_o = i_first + r_o // HEADS
    g_o = head_block * HEADS + r_o % HEADS
    row = (b * S + s_o) * (Hkv * G) + hkv * G + g_o
    o = acc / gl.convert_layout(l, gl.SliceLayout(1, O_LAYOUT))[:, None]
    gl.store(o_ptr + row[:, None] * D + channel(d_o)[None, :], o.to(DTYPE), mask=((s_o < S) & (g_o < G))[:, None])


def launch(p: Problem, by_products: int = 0) -> tuple[Tensor, Tensor]:
    """Run the forward on an oriented problem that ``hopper.applies`` to: ``o [B, S, H, D]`` and ``lse2 [B, S, H]`` (fp32).

    ``by_products`` of eight exponentials come from a polynomial.
    """
    B, S, _, H, Hkv, D = p.sizes
    o = torch.empty(B, S, H, D, dtype=p.q.dtype, device=p.q.device)
    lse2 = torch.empty(B, S, H, dtype=torch.float32, device=p.q.device)
    pivot = p.q.dtype != torch.float16  # its weights have no exponent for a pivot far above the maximum
    k2_norm = torch.linalg.vector_norm(p.k2, dim=-1, dtype=lse2.dtype) if pivot else None
    heads = min(triton.next_power_of_2(p.group), ROWS)
    positions = ROWS // heads
    programs = triton.cdiv(S, positions) * triton.cdiv(p.group, heads) * Hkv * B
    v2 = in_order(p.v2)
    forward_hopper_kernel[(programs,)](
        p.q, p.k1, p.k2, p.v1, v2, o, lse2, k2_norm, p.starts, *p.strides[:4], v2.stride()[:3],
        S=S, Hkv=Hkv, w1=p.w1, w2=p.w2, scale_log2=p.scale_log2,
        G=p.group, D=D, POSITIONS=positions, HEADS=heads, BLOCK_K=128, PIVOT=pivot, BY_PRODUCTS=by_products, num_warps=WARPS,
    )  # fmt: skip
    return o, lse2
