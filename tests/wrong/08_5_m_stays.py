"""The maximum is compared and never kept.

exercise: 08.5
rung: hand
diagnosis: last-tile-only
"""

import math

import triton
import triton.language as tl

D = BLOCK = HEADS = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def packed_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, H, w1, w2):
    """Program i owns position i with all of its heads."""
    i, h, n, d = tl.program_id(0), tl.arange(0, HEADS), tl.arange(0, BLOCK), tl.arange(0, D)
    at_q = (i * H + h)[:, None] * D + d[None, :]
    q = tl.load(q_ptr + at_q, mask=(h < H)[:, None], other=0.0)
    m = tl.full([HEADS], -1e30, tl.float32)
    l, acc = tl.zeros([HEADS], tl.float32), tl.zeros([HEADS, D], tl.float32)
    j_lo, k_lo = tl.maximum(i - w1 + 1, 0), tl.maximum(i - w2 + 1, 0)
    for k0 in range(k_lo, i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0)
        for j in range(j_lo, i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            # [HEADS, D] @ [D, BLOCK] -> [HEADS, BLOCK]
            s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * SCALE_LOG2
            s2 = tl.where(see_k[None, :], s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            # [HEADS, BLOCK] @ [BLOCK, D] -> [HEADS, D]
            acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
    tl.store(out_ptr + at_q, acc / l[:, None], mask=(h < H)[:, None])


def packed(q, k1, k2, v1, v2, w1, w2, out):
    S, H, _ = q.shape
    packed_kernel[(S,)](q, k1, k2, v1, v2, out, H, w1, w2)
