"""Whatever can be reached.

exercise: 02.4
rung: hand
diagnosis: one-or-two-steps
"""

import torch


def composed(arrows, elements):
    R = torch.zeros(elements, elements)
    R[arrows[:, 0], arrows[:, 1]] = 1
    return ((R + R @ R) > 0).long()
