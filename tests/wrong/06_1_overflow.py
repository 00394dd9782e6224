"""The maximum cancels anyway.

exercise: 06.1
rung: finite
diagnosis: overflow
"""

import torch


def one_pass(s, v):
    l, acc = s.new_zeros(()), torch.zeros_like(v[0])
    for score, value in zip(s, v, strict=True):
        l, acc = l + torch.exp2(score), acc + torch.exp2(score) * value
    return acc / l
