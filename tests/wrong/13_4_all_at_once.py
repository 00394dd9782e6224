"""L - offsets takes each offset off in turn.

exercise: 13.4
rung: runs
diagnosis: raised
"""

import torch


def fit_offset(N, L, offsets):
    """The offset E whose law misses log L least, and alpha of that law."""
    x, y = N.log(), -(L - offsets).log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    law = offsets + torch.exp(-(y.mean() + alpha * dx))
    best = (law.log() - L.log()).square().argmin()
    return torch.stack([offsets[best], alpha])
