"""The wider the sizes are spread, the surer the slope.

exercise: 13.2
rung: hand
diagnosis: spread-of-N
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
    stderr = (scatter / (N - N.mean()).square().sum()).sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
