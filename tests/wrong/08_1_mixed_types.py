"""P stays fp32, whatever type the values have.

exercise: 08.1
rung: fp16
diagnosis: mixed-types
"""

import math

import triton
import triton.language as tl

D = BLOCK = HEADS = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))


@triton.jit
def one_tile_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, n1, n2):
    """Program i owns query i."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    rows = n[:, None] * D + d[None, :]
    K1 = tl.load(k1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    K2 = tl.load(k2_ptr + rows, mask=(n < n2)[:, None], other=0.0)
    V1 = tl.load(v1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    V2 = tl.load(v2_ptr + rows, mask=(n < n2)[:, None], other=0.0)
    # [BLOCK, D] @ [D, BLOCK] -> [BLOCK, BLOCK], j down and k across
    s2 = tl.dot(q[None, :] * K1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2
    s2 = tl.where((n < n1)[:, None] & (n < n2)[None, :], s2, -float("inf"))
    p = tl.exp2(s2 - tl.max(tl.max(s2, 1), 0))
    # [BLOCK, BLOCK] @ [BLOCK, D] -> [BLOCK, D], the sum over k
    over_k = tl.dot(p, V2, input_precision="ieee")
    tl.store(out_ptr + i * D + d, tl.sum(over_k * V1, 0) / tl.sum(tl.sum(p, 1), 0))


def one_tile(q, k1, k2, v1, v2, out):
    one_tile_kernel[(len(q),)](q, k1, k2, v1, v2, out, len(k1), len(k2))
