"""Every program computes its offsets, and forgets its number.

exercise: 07.1
rung: finite
diagnosis: first-block-only
"""

import triton
import triton.language as tl


@triton.jit
def axpy_kernel(a, x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    y = tl.load(y_ptr + at, mask=at < n, other=0.0)
    tl.store(out_ptr + at, a * x + y, mask=at < n)


def axpy(a, x, y, out):
    axpy_kernel[(triton.cdiv(len(out), 16),)](a, x, y, out, len(out), BLOCK=16)
