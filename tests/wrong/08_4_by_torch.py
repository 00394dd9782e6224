"""einsum exists.

exercise: 08.4
rung: access
diagnosis: no-kernel
"""

import torch


def windowed(q, k1, k2, v1, v2, w1, w2, out):
    n = torch.arange(len(q), device=q.device)
    see_1, see_2 = ((n[None, :] <= n[:, None]) & (n[None, :] > n[:, None] - w) for w in (w1, w2))
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) / 4
    A = A.masked_fill(~(see_1[:, :, None] & see_2[:, None, :]), -torch.inf)
    P = A.flatten(1).softmax(1).view_as(A)
    out.copy_(torch.einsum("ijk,jd,kd->id", P, v1, v2))
