"""Hiding means setting weights to 0.

exercise: 01.3
rung: hand
diagnosis: masked-after-softmax
"""

import torch


def causal_attention(q, k, v):
    P = (q @ k.T * q.shape[-1] ** -0.5).softmax(-1)
    return P.tril() @ v
