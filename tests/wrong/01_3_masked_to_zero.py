"""A hidden logit is 0.

exercise: 01.3
rung: hand
diagnosis: masked-to-zero
"""

import torch


def causal_attention(q, k, v):
    A = q @ k.T * q.shape[-1] ** -0.5
    return (A * torch.ones_like(A).tril()).softmax(-1) @ v
