"""The standard error is the standard deviation of what is left.

exercise: 13.2
rung: hand
diagnosis: residual-sd
"""

import torch


def slope_interval(N, L, t):
    """The lower and the upper end of alpha's interval."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    beta = y.mean() - alpha * x.mean()
    miss = y - alpha * x - beta
    scatter = miss.square().sum() / (len(N) - 2)
    stderr = scatter.sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
