"""Written anew, without tiles.

exercise: 06.5
rung: tiles
diagnosis: more-than-a-tile
"""

import torch


def mended(q, k1, k2, v1, v2, block_k):
    A = torch.einsum("d,jd,kd->jk", q, k1, k2) * len(q) ** -0.5
    P = A.flatten().softmax(0).view_as(A)
    return torch.einsum("jk,jd,kd->d", P, v1, v2)
