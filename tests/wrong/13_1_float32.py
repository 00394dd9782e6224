"""torch.tensor keeps the precision of Python's numbers.

exercise: 13.1
rung: returns
diagnosis: wrong-dtype
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = ((dx * y).sum() / dx.square().sum()).item()
    return torch.tensor([alpha, y.mean().item() - alpha * x.mean().item()])
