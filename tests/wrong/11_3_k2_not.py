"""Two norms are enough.

exercise: 11.3
rung: hand
diagnosis: k2-not
"""

import torch


def normed_logits(q, k1, k2):
    """Trilinear logits of vectors with a root mean square of 1."""
    q, k1 = (x * torch.rsqrt(x.square().mean(-1, keepdim=True)) for x in (q, k1))
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
