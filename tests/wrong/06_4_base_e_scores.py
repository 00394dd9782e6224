"""2^s is what the chapter says.

exercise: 06.4
rung: hand
diagnosis: base-e-scores
"""

import torch


def attend_by_tiles(q, k1, k2, v1, v2, block_k):
    scale_log2 = len(q) ** -0.5
    m, l, acc = q.new_tensor(-1e30), q.new_zeros(()), torch.zeros_like(q)
    for k0 in range(0, len(k2), block_k):
        K2, V2 = k2[k0 : k0 + block_k], v2[k0 : k0 + block_k]
        for j in range(len(k1)):
            s2 = K2 @ (q * k1[j]) * scale_log2
            m_new = torch.maximum(m, s2.max())
            alpha, p = torch.exp2(m - m_new), torch.exp2(s2 - m_new)
            m, l, acc = m_new, l * alpha + p.sum(), acc * alpha + (p @ V2) * v1[j]
    return acc / l
