"""Chapter 08's way to the forward kernel: five kernels, each the one before with one thing added. Rows of a tile are query positions.

All are 2-simplicial attention with scale ``D ** -0.5`` (arXiv:2507.02754, eqs 5 to 7), in base 2; ``D`` is a power of two from 16 on.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = BLOCK = 16


@triton.jit
def step1_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, n1, n2, scale_log2, D: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    r, n, d = tl.arange(0, ROWS), tl.arange(0, BLOCK), tl.arange(0, D)
    i = tl.program_id(0) * ROWS + r
    q = tl.load(q_ptr + i[:, None] * D + d[None, :])
    k1 = tl.load(k1_ptr + d)
    v1 = tl.load(v1_ptr + d)
    in_k = n < n2
    K2 = tl.load(k2_ptr + n[:, None] * D + d[None, :], mask=in_k[:, None], other=0.0)
    V2 = tl.load(v2_ptr + n[:, None] * D + d[None, :], mask=in_k[:, None], other=0.0)
    # [ROWS, D] @ [D, BLOCK] -> [ROWS, BLOCK]
    s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * scale_log2
    s2 = tl.where(in_k[None, :], s2, -float("inf"))
    m = tl.max(s2, 1)
    p = tl.exp2(s2 - m[:, None])
    l = tl.sum(p, 1)
    # [ROWS, BLOCK] @ [BLOCK, D] -> [ROWS, D]
    acc = tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
    tl.store(o_ptr + i[:, None] * D + d[None, :], acc / l[:, None])


@triton.jit
def step2_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, n1, n2, scale_log2, D: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    r, n, d = tl.arange(0, ROWS), tl.arange(0, BLOCK), tl.arange(0, D)
    i = tl.program_id(0) * ROWS + r
    q = tl.load(q_ptr + i[:, None] * D + d[None, :])
    k1 = tl.load(k1_ptr + d)
    v1 = tl.load(v1_ptr + d)
    m = tl.full([ROWS], -1e30, tl.float32)
    l = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    for k0 in range(0, n2, BLOCK):
        k = k0 + n
        K2 = tl.load(k2_ptr + k[:, None] * D + d[None, :], mask=(k < n2)[:, None], other=0.0)
        V2 = tl.load(v2_ptr + k[:, None] * D + d[None, :], mask=(k < n2)[:, None], other=0.0)
        s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * scale_log2
        s2 = tl.where((k < n2)[None, :], s2, -float("inf"))
        m_new = tl.maximum(m, tl.max(s2, 1))
        alpha = tl.exp2(m - m_new)
        p = tl.exp2(s2 - m_new[:, None])
        l = l * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
        m = m_new
    tl.store(o_ptr + i[:, None] * D + d[None, :], acc / l[:, None])


@triton.jit
def step3_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, n1, n2, scale_log2, D: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    r, n, d = tl.arange(0, ROWS), tl.arange(0, BLOCK), tl.arange(0, D)
    i = tl.program_id(0) * ROWS + r
    q = tl.load(q_ptr + i[:, None] * D + d[None, :])
    m = tl.full([ROWS], -1e30, tl.float32)
    l = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    for k0 in range(0, n2, BLOCK):
        k = k0 + n
        K2 = tl.load(k2_ptr + k[:, None] * D + d[None, :], mask=(k < n2)[:, None], other=0.0)
        V2 = tl.load(v2_ptr + k[:, None] * D + d[None, :], mask=(k < n2)[:, None], other=0.0)
        for j in range(0, n1):
            k1 = tl.load(k1_ptr + j * D + d)
            v1 = tl.load(v1_ptr + j * D + d)
            s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * scale_log2
            s2 = tl.where((k < n2)[None, :], s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha = tl.exp2(m - m_new)
            p = tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
            m = m_new
    tl.store(o_ptr + i[:, None] * D + d[None, :], acc / l[:, None])


@triton.jit
def step4_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, S, w1, w2, scale_log2, D: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    r, n, d = tl.arange(0, ROWS), tl.arange(0, BLOCK), tl.arange(0, D)
    i_first = tl.program_id(0) * ROWS
    i = i_first + r
    q = tl.load(q_ptr + i[:, None] * D + d[None, :], mask=(i < S)[:, None], other=0.0)
    m = tl.full([ROWS], -1e30, tl.float32)
    l = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    # what some row sees
    j_lo = tl.maximum(i_first - w1 + 1, 0)
    k_lo = tl.maximum(i_first - w2 + 1, 0)
    end = tl.minimum(i_first + ROWS, S)
    for k0 in range(k_lo, end, BLOCK):
        k = k0 + n
        K2 = tl.load(k2_ptr + k[:, None] * D + d[None, :], mask=(k < end)[:, None], other=0.0)
        V2 = tl.load(v2_ptr + k[:, None] * D + d[None, :], mask=(k < end)[:, None], other=0.0)
        # what each row sees of the tile
        see_k = (k[None, :] <= i[:, None]) & (k[None, :] > i[:, None] - w2)
        for j in range(j_lo, end):
            k1 = tl.load(k1_ptr + j * D + d)
            v1 = tl.load(v1_ptr + j * D + d)
            see = see_k & ((j <= i) & (j > i - w1))[:, None]
            s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * scale_log2
            s2 = tl.where(see, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha = tl.exp2(m - m_new)
            p = tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
            m = m_new
    l = tl.where(i < S, l, 1.0)
    tl.store(o_ptr + i[:, None] * D + d[None, :], acc / l[:, None], mask=(i < S)[:, None])


@triton.jit
def step5_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, S, H, w1, w2, scale_log2,
    D: tl.constexpr, POSITIONS: tl.constexpr, HEADS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    r, n, d = tl.arange(0, POSITIONS * HEADS), tl.arange(0, BLOCK), tl.arange(0, D)
    i_first = tl.program_id(0) * POSITIONS
    i = i_first + r // HEADS
    h = r % HEADS
    in_rows = (i < S) & (h < H)
    q = tl.load(q_ptr + (i * H + h)[:, None] * D + d[None, :], mask=in_rows[:, None], other=0.0)
    m = tl.full([POSITIONS * HEADS], -1e30, tl.float32)
    l = tl.zeros([POSITIONS * HEADS], tl.float32)
    acc = tl.zeros([POSITIONS * HEADS, D], tl.float32)
    # what some row sees
    j_lo = tl.maximum(i_first - w1 + 1, 0)
    k_lo = tl.maximum(i_first - w2 + 1, 0)
    end = tl.minimum(i_first + POSITIONS, S)
    for k0 in range(k_lo, end, BLOCK):
        k = k0 + n
        K2 = tl.load(k2_ptr + k[:, None] * D + d[None, :], mask=(k < end)[:, None], other=0.0)
        V2 = tl.load(v2_ptr + k[:, None] * D + d[None, :], mask=(k < end)[:, None], other=0.0)
        # what each row sees of the tile
        see_k = (k[None, :] <= i[:, None]) & (k[None, :] > i[:, None] - w2)
        for j in range(j_lo, end):
            k1 = tl.load(k1_ptr + j * D + d)
            v1 = tl.load(v1_ptr + j * D + d)
            see = see_k & ((j <= i) & (j > i - w1))[:, None]
            s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * scale_log2
            s2 = tl.where(see, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha = tl.exp2(m - m_new)
            p = tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
            m = m_new
    l = tl.where(in_rows, l, 1.0)
    tl.store(o_ptr + (i * H + h)[:, None] * D + d[None, :], acc / l[:, None], mask=in_rows[:, None])


def _unmasked(kernel):
    def step(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor) -> Tensor:
        o = torch.empty_like(q)
        kernel[(len(q) // ROWS,)](q, k1, k2, v1, v2, o, len(k1), len(k2), _scale_log2(q), D=q.shape[1], ROWS=ROWS, BLOCK=BLOCK)
        return o

    return step


step1 = _unmasked(step1_kernel)  # q [16 n, D] sees every pair of one first key and up to 16 second keys
step2 = _unmasked(step2_kernel)  # any number of second keys
step3 = _unmasked(step3_kernel)  # and of first keys


def step4(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, w1: int, w2: int) -> Tensor:
    """``o [S, D]`` of one head under two windows."""
    o, S = torch.empty_like(q), len(q)
    grid = (triton.cdiv(S, ROWS),)
    step4_kernel[grid](q, k1, k2, v1, v2, o, S, w1, w2, _scale_log2(q), D=q.shape[1], ROWS=ROWS, BLOCK=BLOCK)
    return o


def step5(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, w1: int, w2: int) -> Tensor:
    """``o [S, H, D]`` of up to 16 heads that share keys ``[S, D]``."""
    o, (S, H, D) = torch.empty_like(q), q.shape
    heads = triton.next_power_of_2(H)
    positions = ROWS // heads
    grid = (triton.cdiv(S, positions),)
    step5_kernel[grid](q, k1, k2, v1, v2, o, S, H, w1, w2, _scale_log2(q), D=D, POSITIONS=positions, HEADS=heads, BLOCK=BLOCK)
    return o


def _scale_log2(q: Tensor) -> float:
    return q.shape[-1] ** -0.5 * math.log2(math.e)
