"""A softmax of each block is a softmax of the row.

exercise: 07.3
rung: random
diagnosis: softmax-per-block
"""

import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=-float("inf"))
        p = tl.exp(x - tl.max(x, 0))
        tl.store(out_ptr + r * C + c0 + c, p / tl.sum(p, 0), mask=c0 + c < C)


def softmax_rows(x, out):
    R, C = x.shape
    softmax_kernel[(R,)](x, out, x.stride(0), C, BLOCK=16)
