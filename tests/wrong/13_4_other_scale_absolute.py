"""Residuals of the fitted lines, without their signs: two mistakes, and only one of them has a name.

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
        total = (y.mean() + alpha * dx - y).abs().sum()
        if total < best:
            best, fit = total, torch.stack([E, alpha])
    return fit
