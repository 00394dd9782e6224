"""Residuals are measured minus fitted losses.

exercise: 13.2
rung: hand
diagnosis: loss-residuals
"""

import torch


def slope_interval(N, L, t):
    """The lower and the upper end of alpha's interval."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    beta = y.mean() - alpha * x.mean()
    miss = L - torch.exp(-beta) * N**-alpha
    scatter = miss.square().sum() / (len(N) - 2)
    stderr = (scatter / dx.square().sum()).sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
