"""float32 is what PyTorch computes in.

exercise: 13.1
rung: returns
diagnosis: wrong-dtype
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.float().log(), -L.float().log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
