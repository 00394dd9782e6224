"""Logits have a scale.

exercise: 04.2
rung: hand
diagnosis: scaled
"""

import torch


def determinant_logits(q, k1, k2):
    S, D = q.shape
    c = torch.linalg.cross(q.reshape(S, 1, -1, 3), k1.reshape(1, S, -1, 3))
    return torch.einsum("ijd,kd->ijk", c.flatten(2), k2) / (2 * D) ** 0.5
