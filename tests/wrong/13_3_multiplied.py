"""Slope times height above beta.

exercise: 13.3
rung: hand
diagnosis: multiplied
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp(alpha * (-L.log().mean() - beta))
