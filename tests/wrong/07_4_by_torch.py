"""@ exists.

exercise: 07.4
rung: access
diagnosis: no-kernel
"""

import triton
import triton.language as tl


def product(a, b, out):
    out.copy_(a @ b.T)
