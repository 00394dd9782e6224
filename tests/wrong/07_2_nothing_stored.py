"""The number is computed and never stored.

exercise: 07.2
rung: access
diagnosis: nothing-stored
"""

import triton
import triton.language as tl


@triton.jit
def row_lse2_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    """Program r owns row r, which begins r * stride behind x_ptr."""
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + r * stride + c, mask=c < C, other=-float("inf")).to(tl.float32)
    m = tl.max(x, 0)
    l = tl.sum(tl.exp2(x - m), 0)
    m + tl.log2(l)


def row_lse2(x, out):
    R, C = x.shape
    row_lse2_kernel[(R,)](x, out, x.stride(0), C, BLOCK=triton.next_power_of_2(C))
