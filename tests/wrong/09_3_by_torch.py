"""einsum exists.

exercise: 09.3
rung: access
diagnosis: no-kernel
"""

import torch


def first_key_gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    n = torch.arange(len(q), device=q.device)
    see_1, see_2 = ((n[None, :] <= n[:, None]) & (n[None, :] > n[:, None] - w) for w in (w1, w2))
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) / 4
    P = torch.where(see_1[:, :, None] & see_2[:, None, :], torch.exp(A - 0.6931471805599453 * lse2[:, None, None]), 0.0)
    dA = P * (torch.einsum("id,jd,kd->ijk", do, v1, v2) - (o * do).sum(1)[:, None, None]) / 4
    out[0] = torch.einsum("ijk,id,kd->jd", dA, q, k2)
    out[1] = torch.einsum("ijk,id,kd->jd", P, do, v2)
