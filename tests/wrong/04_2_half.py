"""One permutation is enough.

exercise: 04.2
rung: hand
diagnosis: half
"""

import torch


def determinant_logits(q, k1, k2):
    turn = [c - c % 3 + (c % 3 + 1) % 3 for c in range(q.shape[1])]
    back = [c - c % 3 + (c % 3 + 2) % 3 for c in range(q.shape[1])]
    plus = torch.einsum("id,jd,kd->ijk", q, k1[:, turn], k2[:, back])
    return plus
