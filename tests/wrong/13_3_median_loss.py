"""The loss in the middle belongs to the size in the middle.

exercise: 13.3
rung: hand
diagnosis: unknown
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return torch.exp((-L.sort().values[len(L) // 2].log() - beta) / alpha)
