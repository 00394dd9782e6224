"""P stays fp32, whatever type the values have.

exercise: 08.2
rung: fp16
diagnosis: mixed-types
"""

import math

import triton
import triton.language as tl

D = BLOCK = HEADS = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def online_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, n1, n2):
    """Program i owns query i; first keys j = 0 ... BLOCK - 1 stay, tiles of second keys pass by."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    rows = n[:, None] * D + d[None, :]
    K1 = tl.load(k1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    V1 = tl.load(v1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    m, l, acc = -1e30, 0.0, tl.zeros([BLOCK, D], tl.float32)
    for k0 in range(0, n2, BLOCK):
        in_k = k0 + n < n2
        K2 = tl.load(k2_ptr + k0 * D + rows, mask=in_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + k0 * D + rows, mask=in_k[:, None], other=0.0)
        s2 = tl.dot(q[None, :] * K1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2
        s2 = tl.where((n < n1)[:, None] & in_k[None, :], s2, -float("inf"))
        m_new = tl.maximum(m, tl.max(tl.max(s2, 1), 0))
        alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new)
        l = l * alpha + tl.sum(tl.sum(p, 1), 0)
        acc = acc * alpha + tl.dot(p, V2, input_precision="ieee")
        m = m_new
    tl.store(out_ptr + i * D + d, tl.sum(acc * V1, 0) / l)


def online(q, k1, k2, v1, v2, out):
    online_kernel[(len(q),)](q, k1, k2, v1, v2, out, len(k1), len(k2))
