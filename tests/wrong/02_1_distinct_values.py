"""Two different tokens.

exercise: 02.1
rung: random
diagnosis: distinct-values
"""

import itertools

import torch


def match3(x, modulus):
    v = x.tolist()
    return torch.tensor(
        [int(any((v[i] + a + b) % modulus == 0 and a != b for a, b in itertools.combinations(v[:i], 2))) for i in range(len(v))]
    )
