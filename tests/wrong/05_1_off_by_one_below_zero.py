"""i - w, of course.

exercise: 05.1
rung: hand
diagnosis: off-by-one-below-zero
"""

import torch


def corner(i, w1, w2):
    return torch.tensor([i - w1, i - w2])
