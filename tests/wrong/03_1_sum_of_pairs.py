"""A triple is scored by its two pairs.

exercise: 03.1
rung: hand
diagnosis: sum-of-pairs
"""

import torch


def fill_logits(q, k1, k2, out):
    S, D = q.shape
    for i in range(S):
        for j in range(S):
            for k in range(S):
                out[i, j, k] = (q[i] @ k1[j] + q[i] @ k2[k]) * D**-0.5
