"""Two keys may lie on one token.

exercise: 00.1
rung: hand
diagnosis: repeats
"""

import torch


def partners(x, modulus):
    x = x.tolist()
    return torch.tensor([sum((x[i] + x[j] + x[k]) % modulus == 0 for k in range(i) for j in range(k + 1)) for i in range(len(x))])
