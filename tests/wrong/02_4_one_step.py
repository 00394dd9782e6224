"""The arrows are the answer.

exercise: 02.4
rung: hand
diagnosis: one-step
"""

import torch


def composed(arrows, elements):
    reached = torch.zeros(elements, elements)
    reached[arrows[:, 0], arrows[:, 1]] = 1
    return reached.long()
