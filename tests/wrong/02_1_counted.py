"""As in 00.1.

exercise: 02.1
rung: hand
diagnosis: counted
"""

import itertools

import torch


def match3(x, modulus):
    v = x.tolist()
    return torch.tensor([sum((v[i] + a + b) % modulus == 0 for a, b in itertools.combinations(v[:i], 2)) for i in range(len(v))])
