"""2^m brings every tile back to plain powers.

exercise: 06.2
rung: large logits
diagnosis: overflow
"""

import math

import torch


def merge(m, l, acc):
    return (torch.exp2(m)[:, None] * acc).sum(0) / (torch.exp2(m) * l).sum()
