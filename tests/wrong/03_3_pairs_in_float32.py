"""torch.zeros fits any numbers.

exercise: 03.3
rung: runs
diagnosis: mixed-types
"""

import torch


def combine(weights, v1, v2):
    S, D = v1.shape
    pairs = torch.zeros(S, S, D)
    for j in range(S):
        for k in range(S):
            pairs[j, k] = v1[j] * v2[k]
    return torch.einsum("ijk,jkd->id", weights, pairs)
