"""PyTorch does it in one line.

exercise: 07.1
rung: access
diagnosis: no-kernel
"""

import triton
import triton.language as tl


def axpy(a, x, y, out):
    out.copy_(a * x + y)
