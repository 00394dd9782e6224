"""triu keeps the past.

exercise: 01.3
rung: hand
diagnosis: sees-only-the-future
"""

import torch


def causal_attention(q, k, v):
    A = q @ k.T * q.shape[-1] ** -0.5
    see = torch.ones_like(A).triu().bool()
    return A.masked_fill(~see, float("-inf")).softmax(-1) @ v
