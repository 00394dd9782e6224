"""The mean of log L is on the left.

exercise: 13.3
rung: hand
diagnosis: no-minus
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((L.log().mean() - beta) / alpha)
