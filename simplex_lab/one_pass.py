"""The backward in one kernel, with atomics: what the library's kernels are measured against in chapter 09.

A program owns one position with up to 64 heads of a key head and walks as the forward does. From the products ``s2`` and ``dP`` it makes
all five gradients (arXiv:2507.02754, eqs 10 to 16), six products of ``2 D`` FLOPs for each triple, none of them twice. Other programs
need the same rows of the keys' gradients, so those are added atomically, in fp32, in whatever order programs come.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize=["S", "w1", "w2"])
def one_pass_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, do_ptr, lse2_ptr, delta_ptr, dq_ptr, dk1_ptr, dk2_ptr, dv1_ptr, dv2_ptr,
    S, Hkv, w1, w2, scale, scale_log2, G: tl.constexpr, D: tl.constexpr, HEADS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    HEAD_BLOCKS: tl.constexpr = (G + HEADS - 1) // HEADS
    pid = tl.program_id(0)
    i = pid // HEAD_BLOCKS % S
    hkv = (pid // HEAD_BLOCKS // S % Hkv).to(tl.int64)
    b = (pid // HEAD_BLOCKS // S // Hkv).to(tl.int64)
    g = pid % HEAD_BLOCKS * HEADS + tl.arange(0, HEADS)
    n, d = tl.arange(0, BLOCK), tl.arange(0, D)
    row = (b * S + i) * (Hkv * G) + hkv * G + g
    in_rows = (g < G)[:, None]
    q = tl.load(q_ptr + row[:, None] * D + d[None, :], mask=in_rows, other=0.0)
    do = tl.load(do_ptr + row[:, None] * D + d[None, :], mask=in_rows, other=0.0)
    lse2 = tl.load(lse2_ptr + row, mask=g < G, other=float("inf"))
    delta = tl.load(delta_ptr + row, mask=g < G, other=0.0)
    dq = tl.zeros([HEADS, D], tl.float32)
    keys = (b * S * Hkv + hkv) * D  # position p of this key head lies p * Hkv * D behind
    for k0 in range(max(i - w2 + 1, 0), i + 1, BLOCK):
        see_k = k0 + n <= i
        at = keys + (k0 + n)[:, None].to(tl.int64) * Hkv * D + d[None, :]
        K2 = tl.load(k2_ptr + at, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + at, mask=see_k[:, None], other=0.0)
        dk2 = tl.zeros([BLOCK, D], tl.float32)
        dv2 = tl.zeros([BLOCK, D], tl.float32)
        for j in range(max(i - w1 + 1, 0), i + 1):
            at_j = keys + tl.cast(j, tl.int64) * Hkv * D + d
            k1, v1 = tl.load(k1_ptr + at_j)[None, :], tl.load(v1_ptr + at_j)[None, :]
            a, c = q * k1, do * v1
            # [HEADS, D] @ [D, BLOCK] -> [HEADS, BLOCK]
            s2 = tl.dot(a, tl.trans(K2), input_precision="ieee") * scale_log2
            p = tl.where(see_k[None, :], tl.exp2(s2 - lse2[:, None]), 0.0)
            dp = tl.dot(c, tl.trans(V2), input_precision="ieee")
            da = (p * (dp - delta[:, None])).to(q.dtype)
            p = p.to(q.dtype)
            # [HEADS, BLOCK] @ [BLOCK, D] -> [HEADS, D]
            over_k = tl.dot(da, K2, input_precision="ieee")
            dq += over_k * k1
            tl.atomic_add(dk1_ptr + at_j, tl.sum(over_k * q, 0) * scale, sem="relaxed")
            tl.atomic_add(dv1_ptr + at_j, tl.sum(tl.dot(p, V2, input_precision="ieee") * do, 0), sem="relaxed")
            # [BLOCK, HEADS] @ [HEADS, D] -> [BLOCK, D]
            dk2 = tl.dot(tl.trans(da), a, dk2, input_precision="ieee")
            dv2 = tl.dot(tl.trans(p), c, dv2, input_precision="ieee")
        tl.atomic_add(dk2_ptr + at, dk2 * scale, mask=see_k[:, None], sem="relaxed")
        tl.atomic_add(dv2_ptr + at, dv2, mask=see_k[:, None], sem="relaxed")
    tl.store(dq_ptr + row[:, None] * D + d[None, :], (dq * scale).to(dq_ptr.dtype.element_ty), mask=in_rows)


class _OnePass(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k1, k2, v1, v2, w1, w2, options):
        from simplex_kernels import two_simplicial_attention

        o, lse2 = two_simplicial_attention(q, k1, k2, v1, v2, w1=w1, w2=w2, return_lse2=True)
        ctx.save_for_backward(q, k1, k2, v1, v2, o, lse2)
        ctx.windows, ctx.options = (w1, w2), options
        return o

    @staticmethod
    def backward(ctx, do):
        q, k1, k2, v1, v2, o, lse2 = ctx.saved_tensors
        (B, S, H, D), Hkv = q.shape, k1.shape[2]
        delta, lse2 = (o.float() * do.float()).sum(-1), lse2.transpose(1, 2).contiguous()
        dq = torch.empty_like(q)
        sums = [torch.zeros(k1.shape, dtype=torch.float32, device=q.device) for _ in range(4)]
        heads = ctx.options["heads"] or min(64, max(16, triton.next_power_of_2(H // Hkv)))
        compiler = {name: value for name, value in ctx.options.items() if name.startswith("num_")}
        grid = (B * S * Hkv * triton.cdiv(H // Hkv, heads),)
        one_pass_kernel[grid](
            q, k1, k2, v1, v2, do.contiguous(), lse2, delta, dq, *sums, S=S, Hkv=Hkv, w1=ctx.windows[0], w2=ctx.windows[1],
            scale=D**-0.5, scale_log2=D**-0.5 / math.log(2), G=H // Hkv, D=D, HEADS=heads, BLOCK=ctx.options["block"], **compiler,
        )  # fmt: skip
        return dq, *(x.to(q.dtype) for x in sums), None, None, None


def one_pass(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, *, w1: int, w2: int, heads=None, block=64, warps=8) -> Tensor:
    """``o [B, S, H, D]`` by the library's forward; its backward is :func:`one_pass_kernel`. Contiguous inputs, ``D`` a power of two."""
    options = {"heads": heads, "block": block, "num_warps": warps, "num_stages": 1}
    return _OnePass.apply(q, k1, k2, v1, v2, w1, w2, options)
