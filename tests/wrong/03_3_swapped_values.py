"""v1 and v2 are interchangeable.

exercise: 03.3
rung: hand
diagnosis: swapped-values
"""

import torch


def combine(weights, v1, v2):
    pairs = v2[:, None, :] * v1[None, :, :]
    return torch.einsum("ijk,jkd->id", weights, pairs)
