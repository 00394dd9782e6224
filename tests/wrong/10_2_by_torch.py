"""einsum exists.

exercise: 10.2
rung: access
diagnosis: no-kernel
"""

import torch


def pivoted(q, k1, k2, v1, v2, bound, w1, w2, out):
    n = torch.arange(len(q), device=q.device)
    see_1, see_2 = ((n[None, :] <= n[:, None]) & (n[None, :] > n[:, None] - w) for w in (w1, w2))
    s2 = torch.einsum("id,jd,kd->ijk", q, k1, k2) / 4 * 1.4426950408889634
    p = torch.where(see_1[:, :, None] & see_2[:, None, :], torch.exp2(s2 - bound[:, None, None]), 0.0)
    out[:, -1] = p.sum((1, 2))
    out[:, :-1] = torch.einsum("ijk,jd,kd->id", p, v1, v2) / out[:, -1:]
