"""Heads do not need the mask again.

exercise: 01.4
rung: hand
diagnosis: not-causal
"""

import torch


def multi_head(q, k, v):
    H, D = q.shape[1:]
    k, v = (x.repeat_interleave(H // x.shape[1], 1) for x in (k, v))
    A = torch.einsum("ihd,jhd->hij", q, k) * D**-0.5
    return torch.einsum("hij,jhd->ihd", A.softmax(-1), v)
