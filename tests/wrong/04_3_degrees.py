"""Angles are in degrees.

exercise: 04.3
rung: hand
diagnosis: degrees
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    angle = torch.deg2rad(torch.arange(S, dtype=x.dtype)[:, None] * rates[None, :])
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    turned = (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos(), c)
    return torch.stack(turned, -1).reshape(S, D)
