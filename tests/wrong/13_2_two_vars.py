"""var() of the residuals over var() of log N: the divisors cancel.

exercise: 13.2
rung: hand
diagnosis: two-vars
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
    stderr = (scatter / x.var()).sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
