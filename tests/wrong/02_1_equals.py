"""The sum is the modulus.

exercise: 02.1
rung: random
diagnosis: equals
"""

import itertools

import torch


def match3(x, modulus):
    x = x.tolist()
    return torch.tensor([any(x[i] + a + b == modulus for a, b in itertools.combinations(x[:i], 2)) for i in range(len(x))]).long()
