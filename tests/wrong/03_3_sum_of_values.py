"""The value of a pair is the sum of two values.

exercise: 03.3
rung: hand
diagnosis: sum-of-values
"""

import torch


def combine(weights, v1, v2):
    pairs = v1[:, None, :] + v2[None, :, :]
    return torch.einsum("ijk,jkd->id", weights, pairs)
