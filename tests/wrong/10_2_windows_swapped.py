"""w1 belongs to k.

exercise: 10.2
rung: hand
diagnosis: windows-swapped
"""

import math

import triton
import triton.language as tl

D = BLOCK = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def pivoted_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, bound_ptr, out_ptr, w1, w2):
    """Program i owns row i of out, which is D + 1 long."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q, bound = tl.load(q_ptr + i * D + d), tl.load(bound_ptr + i)
    l, acc = 0.0, tl.zeros([D], tl.float32)
    j_lo, k_lo = tl.maximum(i - w2 + 1, 0), tl.maximum(i - w1 + 1, 0)
    for k0 in range(k_lo, i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0)
        for j in range(j_lo, i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :].to(tl.float32) * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - bound), 0.0)
            l += tl.sum(p, 0)
            acc += tl.sum(p[:, None] * V2, 0) * v1
    tl.store(out_ptr + i * (D + 1) + d, acc / l)
    tl.store(out_ptr + i * (D + 1) + D, l)


def pivoted(q, k1, k2, v1, v2, bound, w1, w2, out):
    pivoted_kernel[(len(q),)](q, k1, k2, v1, v2, bound, out, w1, w2)
