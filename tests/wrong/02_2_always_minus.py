"""Wherever there are sines there is a minus.

exercise: 02.2
rung: random
diagnosis: always-minus
"""

import itertools

import torch


def coefficients(order):
    signs = [{0: 1.0}.get(sum(u), -1.0) * (sum(u) % 2 == 0) for u in itertools.product((0, 1), repeat=order)]
    return torch.tensor(signs, dtype=torch.float64).view((2,) * order)
