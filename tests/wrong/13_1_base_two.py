"""Any base will do for a straight line.

exercise: 13.1
rung: hand
diagnosis: base-two
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log2(), -L.log2()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
