"""An even number of sines is all that counts.

exercise: 02.2
rung: hand
diagnosis: no-minus
"""

import itertools

import torch


def coefficients(order):
    signs = [float(sum(u) % 2 == 0) for u in itertools.product((0, 1), repeat=order)]
    return torch.tensor(signs, dtype=torch.float64).view((2,) * order)
