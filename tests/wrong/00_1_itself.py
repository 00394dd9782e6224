"""All visible tokens, i included.

exercise: 00.1
rung: hand
diagnosis: itself
"""

import itertools

import torch


def partners(x, modulus):
    x = x.tolist()
    return torch.tensor([sum((x[i] + a + b) % modulus == 0 for a, b in itertools.combinations(x[: i + 1], 2)) for i in range(len(x))])
