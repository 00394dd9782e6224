"""Each program owns its columns and keeps the sum in the output.

exercise: 07.5
rung: access
diagnosis: reads-output
"""

import triton
import triton.language as tl


@triton.jit
def column_sums_kernel(x_ptr, out_ptr, R, C, BLOCK: tl.constexpr):
    """Who owns an element of out? Choose the grid below, too."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    for r in range(0, R):
        so_far = tl.load(out_ptr + c, mask=c < C, other=0.0)
        x = tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)
        tl.store(out_ptr + c, so_far + x, mask=c < C)


def column_sums(x, out):
    R, C = x.shape
    column_sums_kernel[(triton.cdiv(C, 16),)](x, out, R, C, BLOCK=16)
