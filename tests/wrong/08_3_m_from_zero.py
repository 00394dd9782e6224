"""The running maximum begins at 0.

exercise: 08.3
rung: finite
diagnosis: not-finite
"""

import math

import triton
import triton.language as tl

D = BLOCK = HEADS = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def loop_over_j_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, n1, n2):
    """Program i owns query i."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    m, l, acc = 0.0, 0.0, tl.zeros([D], tl.float32)
    for k0 in range(0, n2, BLOCK):
        in_k = k0 + n < n2
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=in_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=in_k[:, None], other=0.0)
        for j in range(0, n1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :].to(tl.float32) * K2, 1) * SCALE_LOG2
            s2 = tl.where(in_k, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 0))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new)
            l = l * alpha + tl.sum(p, 0)
            acc = acc * alpha + tl.sum(p[:, None] * V2, 0) * v1
            m = m_new
    tl.store(out_ptr + i * D + d, acc / l)


def loop_over_j(q, k1, k2, v1, v2, out):
    loop_over_j_kernel[(len(q),)](q, k1, k2, v1, v2, out, len(k1), len(k2))
