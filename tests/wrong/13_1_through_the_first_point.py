"""The slope from all points, the height from the first.

exercise: 13.1
rung: hand
diagnosis: unknown
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y[0] - alpha * x[0]])
