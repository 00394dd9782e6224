"""Assigning to the name fills the caller's tensor.

exercise: 03.1
rung: runs
diagnosis: out-not-filled
"""

import torch


def fill_logits(q, k1, k2, out):
    out = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
    return out
