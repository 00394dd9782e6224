"""Invert the line at each loss, then take the mean size.

exercise: 13.3
rung: hand
diagnosis: unknown
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L.log() - beta) / alpha).mean()
