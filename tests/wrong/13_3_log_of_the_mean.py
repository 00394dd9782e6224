"""The mean loss lies on the line.

exercise: 13.3
rung: hand
diagnosis: log-of-the-mean
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L.mean().log() - beta) / alpha)
