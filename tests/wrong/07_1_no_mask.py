"""The numbers come out right without a mask.

exercise: 07.1
rung: access
diagnosis: reads-outside
"""

import triton
import triton.language as tl


@triton.jit
def axpy_kernel(a, x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    y = tl.load(y_ptr + at)
    tl.store(out_ptr + at, a * x + y)


def axpy(a, x, y, out):
    axpy_kernel[(triton.cdiv(len(out), 16),)](a, x, y, out, len(out), BLOCK=16)
