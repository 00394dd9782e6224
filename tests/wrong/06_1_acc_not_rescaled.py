"""Only the denominator depends on the maximum.

exercise: 06.1
rung: hand
diagnosis: acc-not-rescaled
"""

import torch


def one_pass(s, v):
    m, l, acc = s.new_tensor(-1e30), s.new_zeros(()), torch.zeros_like(v[0])
    for score, value in zip(s, v, strict=True):
        m_new = torch.maximum(m, score)
        alpha, p = torch.exp2(m - m_new), torch.exp2(score - m_new)
        m, l, acc = m_new, l * alpha + p, acc + p * value
    return acc / l
