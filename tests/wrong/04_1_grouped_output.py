"""Three results, joined.

exercise: 04.1
rung: random
diagnosis: grouped-output
"""

import torch


def cross_chunks(a, b):
    S, D = a.shape
    x, y, z = a.reshape(S, -1, 3).unbind(-1)
    u, v, w = b.reshape(S, -1, 3).unbind(-1)
    return torch.cat([y * w - z * v, z * u - x * w, x * v - y * u], -1)
