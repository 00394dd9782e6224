"""Positions begin at 1.

exercise: 11.2
rung: hand
diagnosis: from-one
"""

import torch


def rope(x):
    """x with its pairs of channels turned by their position."""
    S, D = x.shape
    rates = 10_000.0 ** (-2 * torch.arange(D // 2, dtype=torch.float64) / D)
    angle = torch.arange(1, S + 1, dtype=torch.float64)[:, None] * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[:, ::2], x[:, 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(1)
