"""Chapter 10's first rungs: the forward of 2-simplicial attention as a first kernel would have it, with either loop outside.

Formula and conventions are those of ``simplex_kernels/forward.py`` (arXiv:2507.02754, eqs 5 to 7): ``q, o [B, S, H, D]``, keys and values
``[B, S, 1, D]`` of one key head, contiguous. A program owns one position with up to 64 of its heads. Running maximum, all tiles masked.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _step(q, k1, v1, K2, V2, see_k, m, l, acc, scale_log2):
    """One first key against one tile of second keys."""
    s2 = tl.dot(q * k1, tl.trans(K2), input_precision="ieee") * scale_log2
    s2 = tl.where(see_k[None, :], s2, -float("inf"))
    m_new = tl.maximum(m, tl.max(s2, 1))
    alpha = tl.exp2(m - m_new)
    p = tl.exp2(s2 - m_new[:, None])
    l = l * alpha + tl.sum(p, 1)
    acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1
    return m_new, l, acc


@triton.jit(do_not_specialize=["S", "w1", "w2"])
def ladder_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, S, w1, w2, scale_log2,
    H: tl.constexpr, D: tl.constexpr, HEADS: tl.constexpr, BLOCK: tl.constexpr, K_OUTSIDE: tl.constexpr,
):  # fmt: skip
    pid = tl.program_id(0)
    HEAD_BLOCKS: tl.constexpr = (H + HEADS - 1) // HEADS
    i = pid // HEAD_BLOCKS % S
    b = (pid // HEAD_BLOCKS // S).to(tl.int64)
    h = pid % HEAD_BLOCKS * HEADS + tl.arange(0, HEADS)
    n, d = tl.arange(0, BLOCK), tl.arange(0, D)
    at = ((b * S + i) * H + h)[:, None] * D + d[None, :]
    q = tl.load(q_ptr + at, mask=(h < H)[:, None], other=0.0)
    m = tl.full([HEADS], -1e30, tl.float32)
    l = tl.zeros([HEADS], tl.float32)
    acc = tl.zeros([HEADS, D], tl.float32)
    j_lo, k_lo = max(i - w1 + 1, 0), max(i - w2 + 1, 0)
    if K_OUTSIDE:
        for k0 in range(k_lo, i + 1, BLOCK):
            rows = (b * S + k0 + n)[:, None] * D + d[None, :]
            K2 = tl.load(k2_ptr + rows, mask=(k0 + n <= i)[:, None], other=0.0)
            V2 = tl.load(v2_ptr + rows, mask=(k0 + n <= i)[:, None], other=0.0)
            for j in range(j_lo, i + 1):
                k1 = tl.load(k1_ptr + (b * S + j) * D + d)[None, :]
                v1 = tl.load(v1_ptr + (b * S + j) * D + d)[None, :]
                m, l, acc = _step(q, k1, v1, K2, V2, k0 + n <= i, m, l, acc, scale_log2)
    else:
        for j in range(j_lo, i + 1):
            k1 = tl.load(k1_ptr + (b * S + j) * D + d)[None, :]
            v1 = tl.load(v1_ptr + (b * S + j) * D + d)[None, :]
            for k0 in range(k_lo, i + 1, BLOCK):
                rows = (b * S + k0 + n)[:, None] * D + d[None, :]
                K2 = tl.load(k2_ptr + rows, mask=(k0 + n <= i)[:, None], other=0.0)
                V2 = tl.load(v2_ptr + rows, mask=(k0 + n <= i)[:, None], other=0.0)
                m, l, acc = _step(q, k1, v1, K2, V2, k0 + n <= i, m, l, acc, scale_log2)
    tl.store(o_ptr + at, (acc / l[:, None]).to(o_ptr.dtype.element_ty), mask=(h < H)[:, None])


def ladder(
    q: Tensor,
    k1: Tensor,
    k2: Tensor,
    v1: Tensor,
    v2: Tensor,
    *,
    w1: int,
    w2: int,
    outer: str,
    block: int = 64,
    warps: int = 4,
    stages: int = 1,
) -> Tensor:
    """``o`` by :func:`ladder_kernel` with first keys (``outer="j"``) or tiles of second keys (``"k"``) in the outer loop."""
    (B, S, H, D), o = q.shape, torch.empty_like(q)
    if k1.shape[2] != 1:
        raise ValueError(f"k1 has {k1.shape[2]} key heads, and this kernel serves 1")
    heads = min(64, max(16, triton.next_power_of_2(H)))
    ladder_kernel[(B * S * triton.cdiv(H, heads),)](
        q, k1, k2, v1, v2, o, S, w1, w2, D**-0.5 * math.log2(math.e),
        H=H, D=D, HEADS=heads, BLOCK=block, K_OUTSIDE=outer == "k", num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return o
