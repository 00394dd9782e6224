"""repeat and repeat_interleave do the same.

exercise: 01.4
rung: hand
diagnosis: heads-tiled
"""

import torch


def multi_head(q, k, v):
    S, H, D = q.shape
    k, v = k.repeat(1, H // k.shape[1], 1), v.repeat(1, H // v.shape[1], 1)
    A = torch.einsum("ihd,jhd->hij", q, k) * D**-0.5
    A = A.masked_fill(~torch.ones(S, S).tril().bool(), -torch.inf)
    return torch.einsum("hij,jhd->ihd", A.softmax(-1), v)
