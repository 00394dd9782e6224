"""Only the indices and the letters were wrong.

exercise: 09.4
rung: hand
diagnosis: no-scale
"""

import torch


def mended(q, k1, k2, v1, v2, do):
    """dq, dk1, dk2, dv1, dv2, stacked; every query sees every pair."""
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
    P = A.flatten(1).softmax(1).view_as(A)
    dP = torch.einsum("id,jd,kd->ijk", do, v1, v2)
    dA = P * (dP - (P * dP).sum((1, 2), keepdim=True))
    dq = torch.einsum("ijk,jd,kd->id", dA, k1, k2)
    dk1 = torch.einsum("ijk,id,kd->jd", dA, q, k2)
    dk2 = torch.einsum("ijk,id,jd->kd", dA, q, k1)
    dv1 = torch.einsum("ijk,id,kd->jd", P, do, v2)
    dv2 = torch.einsum("ijk,id,jd->kd", P, do, v1)
    return torch.stack([dq, dk1, dk2, dv1, dv2])
