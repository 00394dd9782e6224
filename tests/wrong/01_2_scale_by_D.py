"""Logits are averaged over the channels.

exercise: 01.2
rung: hand
diagnosis: scale-by-D
"""

import torch


def attention(q, k, v):
    return (q @ k.T / q.shape[-1]).softmax(-1) @ v
