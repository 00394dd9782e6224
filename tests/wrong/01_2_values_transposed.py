"""The logits are k times q, and the rest follows.

exercise: 01.2
rung: hand
diagnosis: values-transposed
"""

import torch


def attention(q, k, v):
    weights = (q @ k.T / q.shape[-1] ** 0.5).softmax(-1)
    return weights.T @ v
