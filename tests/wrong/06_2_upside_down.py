"""The tile with the larger maximum has to shrink.

exercise: 06.2
rung: hand
diagnosis: upside-down
"""

import math

import torch


def merge(m, l, acc):
    alpha = torch.exp2(m.max() - m)
    return (alpha[:, None] * acc).sum(0) / (alpha * l).sum()
