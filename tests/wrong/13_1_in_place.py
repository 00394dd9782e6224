"""In place saves memory.

exercise: 13.1
rung: memory
diagnosis: modifies-input
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log_(), L.log_().neg_()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
