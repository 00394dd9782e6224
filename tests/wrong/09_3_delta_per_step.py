"""delta is the sum of p dp that is at hand.

exercise: 09.3
rung: hand
diagnosis: delta-per-step
"""

import math

import triton
import triton.language as tl

D = BLOCK = tl.constexpr(16)
SCALE, SCALE_LOG2 = tl.constexpr(16**-0.5), tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def first_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, out_ptr, S, w1, w2):
    """Program j owns row j of dk1 and, S * D behind it, of dv1."""
    j, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
    dk1, dv1 = tl.zeros([D], tl.float32), tl.zeros([D], tl.float32)
    for i in range(j, tl.minimum(j + w1, S)):
        q, do, lse2 = tl.load(q_ptr + i * D + d), tl.load(do_ptr + i * D + d), tl.load(lse2_ptr + i)
        delta = tl.sum(tl.load(o_ptr + i * D + d).to(tl.float32) * do, 0)
        for k0 in range(tl.maximum(i - w2 + 1, 0), i + 1, BLOCK):
            see_k = k0 + n <= i
            rows = (k0 + n)[:, None] * D + d[None, :]
            K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
            V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
            s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)
            dp = tl.sum((do * v1)[None, :] * V2, 1)
            dk1 += q * tl.sum((p * (dp - tl.sum(p * dp, 0)))[:, None] * K2, 0)
            dv1 += do * tl.sum(p[:, None] * V2, 0)
    tl.store(out_ptr + j * D + d, dk1 * SCALE)
    tl.store(out_ptr + S * D + j * D + d, dv1)


def first_key_gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    first_kernel[(len(q),)](q, k1, k2, v1, v2, o, do, lse2, out, len(q), w1, w2)
