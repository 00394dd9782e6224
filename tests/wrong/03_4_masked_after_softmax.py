"""Hiding means setting weights to 0.

exercise: 03.4
rung: hand
diagnosis: masked-after-softmax
"""

import torch


def two_simplicial_attention(q, k1, k2, v1, v2, w1, w2):
    S, D = q.shape
    i, t = torch.arange(S)[:, None], torch.arange(S)[None, :]
    see1 = (t <= i) & (t > i - w1)
    see2 = (t <= i) & (t > i - w2)
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * D**-0.5
    P = A.flatten(1).softmax(-1).view_as(A)
    P = P * (see1[:, :, None] & see2[:, None, :])
    return torch.einsum("ijk,jd,kd->id", P, v1, v2)
