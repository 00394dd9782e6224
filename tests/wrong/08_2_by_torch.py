"""einsum exists.

exercise: 08.2
rung: access
diagnosis: no-kernel
"""

import torch


def online(q, k1, k2, v1, v2, out):
    P = (torch.einsum("id,jd,kd->ijk", q, k1, k2) / 4).flatten(1).softmax(1).view(len(q), len(k1), len(k2))
    out.copy_(torch.einsum("ijk,jd,kd->id", P, v1, v2))
