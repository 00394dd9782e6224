"""All ordered pairs.

exercise: 00.1
rung: hand
diagnosis: twice
"""

import itertools

import torch


def partners(x, modulus):
    x = x.tolist()
    return torch.tensor([sum((x[i] + a + b) % modulus == 0 for a, b in itertools.permutations(x[:i], 2)) for i in range(len(x))])
