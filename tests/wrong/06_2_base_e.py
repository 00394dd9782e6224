"""exp is exp.

exercise: 06.2
rung: hand
diagnosis: base-e
"""

import torch


def merge(m, l, acc):
    alpha = torch.exp(m - m.max())
    return (alpha[:, None] * acc).sum(0) / (alpha * l).sum()
