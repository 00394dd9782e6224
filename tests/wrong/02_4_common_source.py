"""The other factor gets the transpose.

exercise: 02.4
rung: hand
diagnosis: common-source
"""

import torch


def composed(arrows, elements):
    there = torch.zeros(elements, elements)
    for a, b in arrows.tolist():
        there[a, b] = 1
    return (there.T @ there > 0).long()
