"""The first position is 1.

exercise: 04.3
rung: hand
diagnosis: from-one
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    angle = torch.arange(1, S + 1, dtype=x.dtype)[:, None] * rates[None, :]
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    turned = (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos(), c)
    return torch.stack(turned, -1).reshape(S, D)
