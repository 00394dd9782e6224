"""Fit log L: the loss is what is measured.

exercise: 13.1
rung: hand
diagnosis: no-minus
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
