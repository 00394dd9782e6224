"""beta is the factor in front of N ** -alpha.

exercise: 13.1
rung: hand
diagnosis: factor-for-beta
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, (alpha * x.mean() - y.mean()).exp()])
