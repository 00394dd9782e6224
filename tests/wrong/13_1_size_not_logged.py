"""Only the loss needs a logarithm.

exercise: 13.1
rung: hand
diagnosis: size-not-logged
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N, -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
