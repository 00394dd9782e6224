"""acc is the load.

exercise: 07.5
rung: hand
diagnosis: last-row-only
"""

import triton
import triton.language as tl


@triton.jit
def column_sums_kernel(x_ptr, out_ptr, R, C, BLOCK: tl.constexpr):
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros([BLOCK], tl.float32)
    for r in range(0, R):
        acc = tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)
    tl.store(out_ptr + c, acc, mask=c < C)


def column_sums(x, out):
    R, C = x.shape
    column_sums_kernel[(triton.cdiv(C, 16),)](x, out, R, C, BLOCK=16)
