"""A determinant of three vectors is their triple product.

exercise: 04.2
rung: hand
diagnosis: trilinear
"""

import torch


def determinant_logits(q, k1, k2):
    return torch.einsum("id,jd,kd->ijk", q, k1, k2)
