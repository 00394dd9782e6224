"""The sum runs along a row.

exercise: 07.5
rung: hand
diagnosis: row-sums
"""

import triton
import triton.language as tl


@triton.jit
def row_kernel(x_ptr, out_ptr, R, C, BLOCK: tl.constexpr):
    r = tl.program_id(0)
    acc = tl.zeros([BLOCK], tl.float32)
    for c0 in range(0, C, BLOCK):
        c = c0 + tl.arange(0, BLOCK)
        acc += tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)
    tl.store(out_ptr + r, tl.sum(acc, 0))


def column_sums(x, out):
    R, C = x.shape
    row_kernel[(min(R, C),)](x, out, R, C, BLOCK=16)
