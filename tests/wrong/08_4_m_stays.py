"""The maximum is compared and never kept.

exercise: 08.4
rung: hand
diagnosis: last-tile-only
"""

import math

import triton
import triton.language as tl

D = BLOCK = HEADS = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def windowed_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, w1, w2):
    """Program i owns position i."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    m, l, acc = -1e30, 0.0, tl.zeros([D], tl.float32)
    j_lo, k_lo = tl.maximum(i - w1 + 1, 0), tl.maximum(i - w2 + 1, 0)
    for k0 in range(k_lo, i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0)
        for j in range(j_lo, i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :].to(tl.float32) * K2, 1) * SCALE_LOG2
            s2 = tl.where(see_k, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 0))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new)
            l = l * alpha + tl.sum(p, 0)
            acc = acc * alpha + tl.sum(p[:, None] * V2, 0) * v1
    tl.store(out_ptr + i * D + d, acc / l)


def windowed(q, k1, k2, v1, v2, w1, w2, out):
    windowed_kernel[(len(q),)](q, k1, k2, v1, v2, out, w1, w2)
