"""The sum must be the modulus.

exercise: 00.1
rung: random
diagnosis: equals
"""

import itertools

import torch


def partners(x, modulus):
    v = x.tolist()
    return torch.tensor([sum(v[i] + v[j] + v[k] == modulus for j, k in itertools.combinations(range(i), 2)) for i in range(len(v))])
