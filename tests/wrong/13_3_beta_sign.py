"""Bring beta to the other side.

exercise: 13.3
rung: hand
diagnosis: beta-sign
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L.log().mean() + beta) / alpha)
