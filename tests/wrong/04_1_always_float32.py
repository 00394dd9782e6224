"""torch.zeros makes what I need.

exercise: 04.1
rung: returns
diagnosis: wrong-dtype
"""

import torch


def cross_chunks(a, b):
    S, D = a.shape
    out = torch.zeros(S, D)
    out[:] = torch.linalg.cross(a.reshape(S, -1, 3), b.reshape(S, -1, 3)).reshape(S, D)
    return out
