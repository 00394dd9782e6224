"""Only runs that arrived have a number.

exercise: 12.2
rung: random
diagnosis: never-left-out
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    middle = []
    for row in needed:
        arrived = row[row.isfinite()]
        out = row.isnan().any() or len(arrived) == 0
        middle.append(torch.tensor(torch.inf) if out else arrived.median())
    return torch.stack(middle).argmin()
