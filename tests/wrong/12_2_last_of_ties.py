"""As good as the best is the best.

exercise: 12.2
rung: random
diagnosis: last-of-ties
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    best, found = torch.inf, 0
    for r, row in enumerate(needed):
        if not row.isnan().any() and row.median() <= best:
            best, found = row.median(), r
    return found
