"""softmax exists.

exercise: 07.3
rung: access
diagnosis: no-kernel
"""

import triton
import triton.language as tl


def softmax_rows(x, out):
    out.copy_(x.softmax(1))
