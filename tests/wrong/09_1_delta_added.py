"""dA = P (dP + delta).

exercise: 09.1
rung: hand
diagnosis: delta-added
"""

import math

import triton
import triton.language as tl

D = BLOCK = tl.constexpr(16)
SCALE, SCALE_LOG2 = tl.constexpr(16**-0.5), tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def dq_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, out_ptr, w1, w2):
    """Program i owns row i of dq."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q, do, lse2 = tl.load(q_ptr + i * D + d), tl.load(do_ptr + i * D + d), tl.load(lse2_ptr + i)
    delta = tl.sum(tl.load(o_ptr + i * D + d).to(tl.float32) * do, 0)
    dq = tl.zeros([D], tl.float32)
    for k0 in range(tl.maximum(i - w2 + 1, 0), i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
        for j in range(tl.maximum(i - w1 + 1, 0), i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)
            dp = tl.sum((do * v1)[None, :] * V2, 1)
            dq += tl.sum((p * (dp + delta))[:, None] * K2, 0) * k1
    tl.store(out_ptr + i * D + d, dq * SCALE)


def query_gradient(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    dq_kernel[(len(q),)](q, k1, k2, v1, v2, o, do, lse2, out, w1, w2)
