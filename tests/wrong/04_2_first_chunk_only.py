"""A determinant has three channels.

exercise: 04.2
rung: random
diagnosis: first-chunk-only
"""

import torch


def determinant_logits(q, k1, k2):
    S = len(q)
    c = torch.linalg.cross(q[:, None, :3].expand(S, S, 3), k1[None, :, :3].expand(S, S, 3))
    return torch.einsum("ijd,kd->ijk", c, k2[:, :3])
