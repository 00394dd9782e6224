"""sum(0) exists.

exercise: 07.5
rung: access
diagnosis: no-kernel
"""

import triton
import triton.language as tl


def column_sums(x, out):
    out.copy_(x.sum(0))
