"""var() knows about degrees of freedom.

exercise: 13.2
rung: hand
diagnosis: divided-by-n-minus-1
"""

import torch


def slope_interval(N, L, t):
    """The lower and the upper end of alpha's interval."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    beta = y.mean() - alpha * x.mean()
    miss = y - alpha * x - beta
    scatter = miss.var()
    stderr = (scatter / dx.square().sum()).sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
