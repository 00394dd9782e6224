"""An offset is a small correction: take 0.

exercise: 13.4
rung: hand
diagnosis: no-offset
"""

import torch


def fit_offset(N, L, offsets):
    """The offset E whose law misses log L least, and alpha of that law."""
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([torch.zeros_like(alpha), alpha])
