"""Invert the line at each loss.

exercise: 13.3
rung: returns
diagnosis: wrong-shape
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L.log() - beta) / alpha)
