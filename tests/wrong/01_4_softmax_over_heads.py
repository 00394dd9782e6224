"""Dimension 0 of the logits is the one to normalise.

exercise: 01.4
rung: hand
diagnosis: softmax-over-heads
"""

import torch


def multi_head(q, k, v):
    S, H, D = q.shape
    k, v = (x.repeat_interleave(H // x.shape[1], 1) for x in (k, v))
    A = torch.einsum("ihd,jhd->hij", q, k) * D**-0.5
    A = A.masked_fill(~torch.ones(S, S).tril().bool(), -torch.inf)
    return torch.einsum("hij,jhd->ihd", A.softmax(0).nan_to_num(0), v)
