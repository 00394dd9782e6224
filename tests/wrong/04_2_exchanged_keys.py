"""The cross product takes k2.

exercise: 04.2
rung: hand
diagnosis: exchanged-keys
"""

import torch


def determinant_logits(q, k1, k2):
    S = len(q)
    c = torch.linalg.cross(q.reshape(S, 1, -1, 3), k2.reshape(1, S, -1, 3))
    return torch.einsum("ijd,kd->ijk", c.flatten(2), k1)
