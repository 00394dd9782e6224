"""The gradient carries the factor of the logits.

exercise: 09.2
rung: hand
diagnosis: log2e-in-the-gradient
"""

import math

import triton
import triton.language as tl

D = BLOCK = tl.constexpr(16)
SCALE, SCALE_LOG2 = tl.constexpr(16**-0.5), tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def second_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, out_ptr, S, w1, w2):
    """Program t owns second keys t * BLOCK ... of dk2 and, S * D behind it, dv2."""
    k0, n, d = tl.program_id(0) * BLOCK, tl.arange(0, BLOCK), tl.arange(0, D)
    k, rows = k0 + n, (k0 + n)[:, None] * D + d[None, :]
    K2 = tl.load(k2_ptr + rows, mask=(k < S)[:, None], other=0.0).to(tl.float32)
    V2 = tl.load(v2_ptr + rows, mask=(k < S)[:, None], other=0.0).to(tl.float32)
    dk2, dv2 = tl.zeros([BLOCK, D], tl.float32), tl.zeros([BLOCK, D], tl.float32)
    for i in range(k0, tl.minimum(k0 + BLOCK + w2 - 1, S)):
        q, do, lse2 = tl.load(q_ptr + i * D + d), tl.load(do_ptr + i * D + d), tl.load(lse2_ptr + i)
        delta = tl.sum(tl.load(o_ptr + i * D + d).to(tl.float32) * do, 0)
        see_k = (k <= i) & (k > i - w2)
        for j in range(tl.maximum(i - w1 + 1, 0), i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)
            dp = tl.sum((do * v1)[None, :] * V2, 1)
            dk2 += (p * (dp - delta))[:, None] * (q * k1)[None, :]
            dv2 += p[:, None] * (do * v1)[None, :]
    tl.store(out_ptr + rows, dk2 * SCALE_LOG2, mask=(k < S)[:, None])
    tl.store(out_ptr + S * D + rows, dv2, mask=(k < S)[:, None])


def second_key_gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    grid = (triton.cdiv(len(q), 16),)
    second_kernel[grid](q, k1, k2, v1, v2, o, do, lse2, out, len(q), w1, w2)
