"""q @ k multiplies queries with keys.

exercise: 01.2
rung: runs
diagnosis: raised
"""

import torch


def attention(q, k, v):
    return (q @ k / q.shape[-1] ** 0.5).softmax(-1) @ v
