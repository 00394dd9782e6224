"""One line after the other.

exercise: 04.3
rung: hand
diagnosis: overwritten
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    angle = torch.arange(S, dtype=x.dtype)[:, None] * rates[None, :]
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    a = a * angle.cos() - b * angle.sin()
    b = a * angle.sin() + b * angle.cos()
    return torch.stack([a, b, c], -1).reshape(S, D)
