"""Scores are small.

exercise: 07.3
rung: finite
diagnosis: overflow
"""

import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    l = 0.0
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=-float("inf"))
        l += tl.sum(tl.exp(x), 0)
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=-float("inf"))
        tl.store(out_ptr + r * C + c0 + c, tl.exp(x) / l, mask=c0 + c < C)


def softmax_rows(x, out):
    R, C = x.shape
    softmax_kernel[(R,)](x, out, x.stride(0), C, BLOCK=16)
