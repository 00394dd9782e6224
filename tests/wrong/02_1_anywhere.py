"""Partners may come later.

exercise: 02.1
rung: hand
diagnosis: anywhere
"""

import itertools

import torch


def match3(x, modulus):
    x = x.tolist()
    found = [any((x[i] + a + b) % modulus == 0 for a, b in itertools.combinations(x[:i] + x[i + 1 :], 2)) for i in range(len(x))]
    return torch.tensor(found).long()
