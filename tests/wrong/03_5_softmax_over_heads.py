"""Everything that belongs to a query shares one softmax.

exercise: 03.5
rung: hand
diagnosis: softmax-over-heads
"""

import torch


def two_simplicial_heads(q, k1, k2, v1, v2, w1, w2):
    S, H, D = q.shape
    k1, k2, v1, v2 = (x.repeat_interleave(H // x.shape[1], 1) for x in (k1, k2, v1, v2))
    i, t = torch.arange(S)[:, None], torch.arange(S)[None, :]
    see1 = (t <= i) & (t > i - w1)
    see2 = (t <= i) & (t > i - w2)
    A = torch.einsum("ihd,jhd,khd->ihjk", q, k1, k2) * D**-0.5
    A = A.masked_fill(~(see1[:, None, :, None] & see2[:, None, None, :]), -torch.inf)
    P = A.flatten(1).softmax(-1).view_as(A)
    return torch.einsum("ihjk,jhd,khd->ihd", P, v1, v2)
