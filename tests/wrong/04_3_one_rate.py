"""There is one rate.

exercise: 04.3
rung: random
diagnosis: one-rate
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    angle = torch.arange(S, dtype=x.dtype)[:, None] * rates[0]
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    turned = (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos(), c)
    return torch.stack(turned, -1).reshape(S, D)
