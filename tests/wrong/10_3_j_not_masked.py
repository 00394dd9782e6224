"""Both rows take the walk's j.

exercise: 10.3
rung: hand
diagnosis: j-not-masked
"""

import math

import triton
import triton.language as tl

D = BLOCK = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def shared_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, S, H, w1, w2):
    """Program p owns positions 2 p and 2 p + 1, with up to 8 heads each."""
    r, n, d = tl.arange(0, 16), tl.arange(0, BLOCK), tl.arange(0, D)
    i_first = tl.program_id(0) * 2
    i, h = i_first + r // 8, r % 8
    at_q, mine = (i * H + h)[:, None] * D + d[None, :], ((i < S) & (h < H))[:, None]
    q = tl.load(q_ptr + at_q, mask=mine, other=0.0)
    m, l = tl.full([16], -1e30, tl.float32), tl.zeros([16], tl.float32)
    acc = tl.zeros([16, D], tl.float32)
    j_lo, k_lo = tl.maximum(i_first - w1 + 1, 0), tl.maximum(i_first - w2 + 1, 0)
    end = tl.minimum(i_first + 2, S)
    for k0 in range(k_lo, end, BLOCK):
        k = k0 + n
        rows = k[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=(k < end)[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=(k < end)[:, None], other=0.0)
        see_k = (k[None, :] <= i[:, None]) & (k[None, :] > i[:, None] - w2)
        for j in range(j_lo, end):
            k1, v1 = tl.load(k1_ptr + j * D + d)[None, :], tl.load(v1_ptr + j * D + d)[None, :]
            s2 = tl.dot(q * k1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2
            s2 = tl.where(see_k, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1
            m = m_new
    l = tl.where(i < S, l, 1.0)
    tl.store(out_ptr + at_q, acc / l[:, None], mask=mine)


def shared(q, k1, k2, v1, v2, w1, w2, out):
    S, H, _ = q.shape
    shared_kernel[(triton.cdiv(S, 2),)](q, k1, k2, v1, v2, out, S, H, w1, w2)
