"""Each tile is a mean, so the whole is the mean of the tiles.

exercise: 06.2
rung: hand
diagnosis: mean-of-outputs
"""

import math

import torch


def merge(m, l, acc):
    return torch.stack([a / b for a, b in zip(acc, l, strict=True)]).mean(0)
