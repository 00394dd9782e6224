"""m is updated first.

exercise: 06.1
rung: hand
diagnosis: never-rescaled
"""

import torch


def one_pass(s, v):
    m, l, acc = s.new_tensor(-1e30), s.new_zeros(()), torch.zeros_like(v[0])
    for score, value in zip(s, v, strict=True):
        m = torch.maximum(m, score)
        alpha, p = torch.exp2(m - m), torch.exp2(score - m)
        l, acc = l * alpha + p, acc * alpha + p * value
    return acc / l
