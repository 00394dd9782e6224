"""One loop for the maximum, one for the sum, one to write.

exercise: 07.3
rung: access
diagnosis: loads-again
"""

import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    """Program r owns row r of x and of out, and walks over it twice."""
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    m, l = -1e30, 0.0
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=-float("inf")).to(tl.float32)
        m = tl.maximum(m, tl.max(x, 0))
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=-float("inf")).to(tl.float32)
        l += tl.sum(tl.exp(x - m), 0)
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=0.0).to(tl.float32)
        tl.store(out_ptr + r * C + c0 + c, tl.exp(x - m) / l, mask=c0 + c < C)


def softmax_rows(x, out):
    R, C = x.shape
    softmax_kernel[(R,)](x, out, x.stride(0), C, BLOCK=16)
