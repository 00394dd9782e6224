"""acc is an output already.

exercise: 06.2
rung: hand
diagnosis: acc-not-rescaled
"""

import torch


def merge(m, l, acc):
    return acc.sum(0) / (torch.exp2(m - m.max()) * l).sum()
