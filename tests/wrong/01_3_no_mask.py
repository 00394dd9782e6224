"""masked_fill works in place.

exercise: 01.3
rung: hand
diagnosis: no-mask
"""

import torch


def causal_attention(q, k, v):
    A = q @ k.T * q.shape[-1] ** -0.5
    see = torch.ones_like(A).tril().bool()
    A.masked_fill(~see, float("-inf"))
    return A.softmax(-1) @ v
