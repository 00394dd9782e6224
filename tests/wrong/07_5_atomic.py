"""An atomic add cannot lose a row.

exercise: 07.5
rung: access
diagnosis: atomic
"""

import triton
import triton.language as tl


@triton.jit
def atomic_kernel(x_ptr, out_ptr, R, C, BLOCK: tl.constexpr):
    r = tl.program_id(0)
    for c0 in range(0, C, BLOCK):
        c = c0 + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)
        tl.atomic_add(out_ptr + c, x, mask=c < C)


def column_sums(x, out):
    out.zero_()
    atomic_kernel[(len(x),)](x, out, *x.shape, BLOCK=16)
