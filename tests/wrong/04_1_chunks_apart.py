"""view takes the channels as they come.

exercise: 04.1
rung: random
diagnosis: chunks-apart
"""

import torch


def cross_chunks(a, b):
    S, D = a.shape
    return torch.linalg.cross(a.reshape(S, 3, -1), b.reshape(S, 3, -1), dim=1).reshape(S, D)
