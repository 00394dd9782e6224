"""A window of w reaches w tokens back.

exercise: 05.1
rung: hand
diagnosis: off-by-one
"""

import torch


def corner(i, w1, w2):
    return torch.tensor([max(i - w1, 0), max(i - w2, 0)])
