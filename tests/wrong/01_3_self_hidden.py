"""A query sees the tokens before it.

exercise: 01.3
rung: finite
diagnosis: self-hidden
"""

import torch


def causal_attention(q, k, v):
    A = q @ k.T * q.shape[-1] ** -0.5
    see = torch.ones_like(A).tril(diagonal=-1).bool()
    return A.masked_fill(~see, float("-inf")).softmax(-1) @ v
