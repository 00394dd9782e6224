"""A run that diverged never arrives.

exercise: 12.2
rung: random
diagnosis: nan-as-infinity
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    return torch.where(needed.isnan(), torch.inf, needed).median(1).values.argmin()
