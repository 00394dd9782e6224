"""The first half turns with the second.

exercise: 11.2
rung: random
diagnosis: halves
"""

import torch


def rope(x):
    """x with its pairs of channels turned by their position."""
    S, D = x.shape
    rates = 10_000.0 ** (-2 * torch.arange(D // 2, dtype=torch.float64) / D)
    angle = torch.arange(S, dtype=torch.float64)[:, None] * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[:, : D // 2], x[:, D // 2 :]
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos], 1)
