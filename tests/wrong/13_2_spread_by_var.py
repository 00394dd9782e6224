"""The spread of log N is x.var().

exercise: 13.2
rung: hand
diagnosis: spread-by-var
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
    stderr = (scatter / x.var()).sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
