"""Columns are where arrows start.

exercise: 02.4
rung: hand
diagnosis: backwards
"""

import torch


def composed(arrows, elements):
    there = torch.zeros(elements, elements)
    for a, b in arrows.tolist():
        there[b, a] = 1
    return (there @ there > 0).long()
