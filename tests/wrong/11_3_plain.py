"""Logits as they are.

exercise: 11.3
rung: hand
diagnosis: plain
"""

import torch


def normed_logits(q, k1, k2):
    """Trilinear logits of vectors with a root mean square of 1."""
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
