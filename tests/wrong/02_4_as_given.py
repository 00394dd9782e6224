"""It looks right on the example.

exercise: 02.4
rung: hand
diagnosis: as-given
"""

import torch


def composed(arrows, elements):
    there = torch.zeros(elements, elements)
    for a, b in arrows.tolist():
        there[a, b] = 1
    return (there @ there.T > 0).long()
