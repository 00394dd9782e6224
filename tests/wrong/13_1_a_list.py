"""Two numbers are a list.

exercise: 13.1
rung: returns
diagnosis: wrong-type
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return [alpha.item(), (y.mean() - alpha * x.mean()).item()]
