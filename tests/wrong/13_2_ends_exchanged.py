"""Plus before minus, as in plus or minus.

exercise: 13.2
rung: hand
diagnosis: ends-exchanged
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
    stderr = (scatter / dx.square().sum()).sqrt()
    return torch.stack([alpha + t * stderr, alpha - t * stderr])
