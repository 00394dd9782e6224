"""More ones, hence 1.

exercise: 02.3
rung: hand
diagnosis: one-direction
"""

import math

import torch


def best_vote(span):
    best = max(sum(math.comb(span, n) for n in range(span + 1) if (n > cut) == (n % 2 == 1)) for cut in range(-1, span + 1))
    return torch.tensor(best / 2**span, dtype=torch.float64)
