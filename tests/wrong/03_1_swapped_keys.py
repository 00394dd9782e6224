"""j and k may trade places.

exercise: 03.1
rung: hand
diagnosis: swapped-keys
"""

import torch


def fill_logits(q, k1, k2, out):
    S, D = q.shape
    for i in range(S):
        for j in range(S):
            for k in range(S):
                out[i, j, k] = (q[i] * k1[k] * k2[j]).sum() * D**-0.5
