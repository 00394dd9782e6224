"""A kernel must be launched, nobody says for what.

exercise: 07.1
rung: access
diagnosis: no-kernel
"""

import triton
import triton.language as tl


@triton.jit
def axpy_kernel(out_ptr):
    tl.store(out_ptr, 0.0)


def axpy(a, x, y, out):
    axpy_kernel[(1,)](out)
    out.copy_(a * x + y)
