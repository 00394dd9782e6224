"""The first third are the x.

exercise: 04.3
rung: random
diagnosis: chunks-apart
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    angle = torch.arange(S, dtype=x.dtype)[:, None] * rates[None, :]
    a, b, c = x.chunk(3, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos(), c], -1)
