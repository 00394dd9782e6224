"""The largest model fixes the line.

exercise: 13.3
rung: hand
diagnosis: last-loss
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L[-1].log() - beta) / alpha)
