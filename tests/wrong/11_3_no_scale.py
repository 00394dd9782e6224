"""Normed vectors need no scale.

exercise: 11.3
rung: hand
diagnosis: no-scale
"""

import torch


def normed_logits(q, k1, k2):
    """Trilinear logits of vectors with a root mean square of 1."""
    q, k1, k2 = (x * torch.rsqrt(x.square().mean(-1, keepdim=True)) for x in (q, k1, k2))
    return torch.einsum("id,jd,kd->ijk", q, k1, k2)
