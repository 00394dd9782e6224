"""torch.zeros fits any numbers.

exercise: 03.3
rung: returns
diagnosis: wrong-dtype
"""

import torch


def combine(weights, v1, v2):
    S, D = v1.shape
    o = torch.zeros(S, D)
    for j in range(S):
        for k in range(S):
            o += weights[:, j, k, None] * v1[j] * v2[k]
    return o
