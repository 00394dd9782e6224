"""Pairs without order.

exercise: 00.3
rung: hand
diagnosis: unordered
"""

import torch


def scores(S):
    return torch.tensor([sum(i + 1 for i in range(S)), sum((i + 1) * (i + 2) // 2 for i in range(S))])
