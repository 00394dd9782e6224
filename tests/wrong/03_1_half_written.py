"""(j, k) and (k, j) are the same pair.

exercise: 03.1
rung: finite
diagnosis: half-written
"""

import torch


def fill_logits(q, k1, k2, out):
    S, D = q.shape
    for i in range(S):
        for j in range(S):
            for k in range(j + 1):
                out[i, j, k] = (q[i] * k1[j] * k2[k]).sum() * D**-0.5
