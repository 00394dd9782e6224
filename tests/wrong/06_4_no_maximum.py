"""exp2 can take it.

exercise: 06.4
rung: finite
diagnosis: no-maximum
"""

import math

import torch


def attend_by_tiles(q, k1, k2, v1, v2, block_k):
    l, acc = q.new_zeros(()), torch.zeros_like(q)
    for k0 in range(0, len(k2), block_k):
        for j in range(len(k1)):
            p = torch.exp2(k2[k0 : k0 + block_k] @ (q * k1[j]) * len(q) ** -0.5 * math.log2(math.e))
            l = l + p.sum()
            acc = acc + (p @ v2[k0 : k0 + block_k]) * v1[j]
    return acc / l
