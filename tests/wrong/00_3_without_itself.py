"""Only earlier tokens.

exercise: 00.3
rung: hand
diagnosis: without-itself
"""

import torch


def scores(S):
    return torch.tensor([sum(range(S)), sum(i * i for i in range(S))])
