"""Between the best law's first and last point lies its slope.

exercise: 13.4
rung: hand
diagnosis: unknown
"""

import torch


def fit_offset(N, L, offsets):
    """The offset E whose law misses log L least, and alpha of that law."""
    x, best = N.log(), torch.inf
    dx = x - x.mean()
    for E in offsets:
        y = -(L - E).log()
        alpha = (dx * y).sum() / dx.square().sum()
        law = E + torch.exp(-(y.mean() + alpha * dx))
        total = (law.log() - L.log()).square().sum()
        if total < best:
            best, fit = total, torch.stack([E, (y[-1] - y[0]) / (x[-1] - x[0])])
    return fit
