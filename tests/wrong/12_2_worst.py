"""A rate must be good on every seed.

exercise: 12.2
rung: hand
diagnosis: worst-seed
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    worst = needed.nan_to_num(torch.inf, posinf=torch.inf).max(1).values
    return worst.argmin()
