"""n // 16 programs cover the vector.

exercise: 07.1
rung: finite
diagnosis: last-block-missing
"""

import triton
import triton.language as tl


@triton.jit
def axpy_kernel(a, x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    y = tl.load(y_ptr + at, mask=at < n, other=0.0)
    tl.store(out_ptr + at, a * x + y, mask=at < n)


def axpy(a, x, y, out):
    axpy_kernel[(max(len(out) // 16, 1),)](a, x, y, out, len(out), BLOCK=16)
