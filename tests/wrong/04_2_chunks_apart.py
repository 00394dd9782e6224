"""view takes the channels as they come.

exercise: 04.2
rung: random
diagnosis: chunks-apart
"""

import torch


def determinant_logits(q, k1, k2):
    S = len(q)
    c = torch.linalg.cross(q.reshape(S, 1, 3, -1), k1.reshape(1, S, 3, -1), dim=2)
    return torch.einsum("ijd,kd->ijk", c.flatten(2), k2)
