"""The maximum starts at 0.

exercise: 06.1
rung: finite
diagnosis: starts-at-zero
"""

import torch


def one_pass(s, v):
    m, l, acc = s.new_zeros(()), s.new_zeros(()), torch.zeros_like(v[0])
    for score, value in zip(s, v, strict=True):
        m_new = torch.maximum(m, score)
        alpha, p = torch.exp2(m - m_new), torch.exp2(score - m_new)
        m, l, acc = m_new, l * alpha + p, acc * alpha + p * value
    return acc / l
