"""The end of the output is the end of memory.

exercise: 03.1
rung: memory
diagnosis: stray-write
"""

import torch


def fill_logits(q, k1, k2, out):
    S, D = q.shape
    flat = out.as_strided((S**3 + 1,), (1,), out.storage_offset())
    for i in range(S):
        for j in range(S):
            for k in range(S):
                flat[i * S * S + j * S + k] = (q[i] * k1[j] * k2[k]).sum() * D**-0.5
    flat[S**3] = 0.0
