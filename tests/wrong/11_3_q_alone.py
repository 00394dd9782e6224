"""The query is what explodes.

exercise: 11.3
rung: hand
diagnosis: q-alone
"""

import torch


def normed_logits(q, k1, k2):
    """Trilinear logits of vectors with a root mean square of 1."""
    q = q * torch.rsqrt(q.square().mean(-1, keepdim=True))
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
