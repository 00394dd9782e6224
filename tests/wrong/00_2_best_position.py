"""Where it works best.

exercise: 00.2
rung: hand
diagnosis: best-position
"""

import torch


def guess_line(y):
    p = y.double().mean(0)
    return torch.maximum(p, 1 - p).max()
