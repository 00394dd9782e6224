"""The minus is always in the middle.

exercise: 04.1
rung: hand
diagnosis: middle-sign
"""

import torch


def cross_chunks(a, b):
    S, D = a.shape
    x, y, z = a.reshape(S, -1, 3).unbind(-1)
    u, v, w = b.reshape(S, -1, 3).unbind(-1)
    return torch.stack([y * w - z * v, x * w - z * u, x * v - y * u], -1).reshape(S, D)
