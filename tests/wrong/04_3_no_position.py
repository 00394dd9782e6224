"""The rate is the angle.

exercise: 04.3
rung: hand
diagnosis: no-position
"""

import torch


def rotate(x, rates):
    S, D = x.shape
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    turned = (a * rates.cos() - b * rates.sin(), a * rates.sin() + b * rates.cos(), c)
    return torch.stack(turned, -1).reshape(S, D)
