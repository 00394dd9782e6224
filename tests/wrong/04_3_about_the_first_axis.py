"""The first channel is the axis.

exercise: 04.3
rung: hand
diagnosis: about-the-first-axis
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    angle = torch.arange(S, dtype=x.dtype)[:, None] * rates[None, :]
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    turned = (a, b * angle.cos() - c * angle.sin(), b * angle.sin() + c * angle.cos())
    return torch.stack(turned, -1).reshape(S, D)
