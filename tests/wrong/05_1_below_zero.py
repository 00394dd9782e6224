"""The window simply begins w - 1 earlier.

exercise: 05.1
rung: hand
diagnosis: below-zero
"""

import torch


def corner(i, w1, w2):
    return torch.tensor([i - w1 + 1, i - w2 + 1])
