"""Scaling plots have powers of ten on their axes.

exercise: 13.1
rung: hand
diagnosis: base-ten
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log10(), -L.log10()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
