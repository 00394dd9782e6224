"""The expansion of the sine.

exercise: 02.2
rung: hand
diagnosis: sine
"""

import itertools

import torch


def coefficients(order):
    signs = [0.0 if sum(u) % 2 == 0 else (-1.0) ** (sum(u) // 2) for u in itertools.product((0, 1), repeat=order)]
    return torch.tensor(signs, dtype=torch.float64).view((2,) * order)
