"""Every j needs its own distribution over k.

exercise: 03.4
rung: finite
diagnosis: softmax-over-k-nan
"""

import torch


def two_simplicial_attention(q, k1, k2, v1, v2, w1, w2):
    S, D = q.shape
    i, t = torch.arange(S)[:, None], torch.arange(S)[None, :]
    see1 = (t <= i) & (t > i - w1)
    see2 = (t <= i) & (t > i - w2)
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * D**-0.5
    A = A.masked_fill(~(see1[:, :, None] & see2[:, None, :]), -torch.inf)
    P = A.softmax(-1)
    return torch.einsum("ijk,jd,kd->id", P, v1, v2)
