"""A token may be used twice.

exercise: 02.1
rung: random
diagnosis: repeats
"""

import torch


def match3(x, modulus):
    x = x.tolist()
    return torch.tensor([any((x[i] + a + b) % modulus == 0 for a in x[:i] for b in x[:i]) for i in range(len(x))]).long()
