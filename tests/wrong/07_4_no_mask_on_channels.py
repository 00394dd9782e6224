"""Rows and columns need a mask; the channels are summed away.

exercise: 07.4
rung: access
diagnosis: reads-outside
"""

import triton
import triton.language as tl


@triton.jit
def product_kernel(a_ptr, b_ptr, out_ptr, M, N, K, BLOCK: tl.constexpr):
    m = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros([BLOCK, BLOCK], tl.float32)
    for k0 in range(0, K, BLOCK):
        k = k0 + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * K + k[None, :], mask=(m < M)[:, None], other=0.0)
        b = tl.load(b_ptr + n[:, None] * K + k[None, :], mask=(n < N)[:, None], other=0.0)
        acc += tl.dot(a, tl.trans(b), input_precision="ieee")
    tl.store(out_ptr + m[:, None] * N + n[None, :], acc, mask=(m < M)[:, None] & (n < N)[None, :])


def product(a, b, out):
    (M, K), N = a.shape, len(b)
    product_kernel[triton.cdiv(M, 16), triton.cdiv(N, 16)](a, b, out, M, N, K, BLOCK=16)
