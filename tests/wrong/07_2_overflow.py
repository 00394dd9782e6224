"""The powers fit.

exercise: 07.2
rung: finite
diagnosis: overflow
"""

import triton
import triton.language as tl


@triton.jit
def row_lse2_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + r * stride + c, mask=c < C, other=-float("inf"))
    tl.store(out_ptr + r, tl.log2(tl.sum(tl.exp2(x), 0)))


def row_lse2(x, out):
    R, C = x.shape
    row_lse2_kernel[(R,)](x, out, x.stride(0), C, BLOCK=triton.next_power_of_2(C))
