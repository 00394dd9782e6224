"""Every number of ones weighs the same.

exercise: 02.3
rung: random
diagnosis: groups-not-patterns
"""

import torch


def best_vote(span):
    right = [sum((n > cut) == (n % 2 == 1) for n in range(span + 1)) for cut in range(-1, span + 1)]
    best = max(max(r, span + 1 - r) for r in right)
    return torch.tensor(best / (span + 1), dtype=torch.float64)
