"""i, then k, then j.

exercise: 04.2
rung: hand
diagnosis: transposed
"""

import torch


def determinant_logits(q, k1, k2):
    S = len(q)
    c = torch.linalg.cross(q.reshape(S, 1, -1, 3), k1.reshape(1, S, -1, 3))
    return torch.einsum("ijd,kd->ikj", c.flatten(2), k2)
