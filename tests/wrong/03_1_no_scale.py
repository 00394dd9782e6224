"""The product of three is the logit.

exercise: 03.1
rung: hand
diagnosis: no-scale
"""

import torch


def fill_logits(q, k1, k2, out):
    S, D = q.shape
    for i in range(S):
        for j in range(S):
            for k in range(S):
                out[i, j, k] = (q[i] * k1[j] * k2[k]).sum()
