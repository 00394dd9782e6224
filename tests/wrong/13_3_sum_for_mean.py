"""Add up eq. 20 over all points.

exercise: 13.3
rung: hand
diagnosis: sum-for-mean
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L.log().sum() - beta) / alpha)
