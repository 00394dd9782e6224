"""The first number belongs to the last window.

exercise: 05.1
rung: hand
diagnosis: swapped
"""

import torch


def corner(i, w1, w2):
    return torch.tensor([max(i - w2 + 1, 0), max(i - w1 + 1, 0)])
