"""Whatever can be reached.

exercise: 02.4
rung: hand
diagnosis: any-length
"""

import torch


def composed(arrows, elements):
    reached = torch.zeros(elements, elements, dtype=torch.bool)
    for a, b in arrows.tolist():
        reached[a, b] = True
    for z in range(elements):
        reached |= reached[:, z, None] & reached[None, z]
    return reached.long()
