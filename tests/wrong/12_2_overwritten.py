"""Diverged rates are overwritten with infinity.

exercise: 12.2
rung: memory
diagnosis: modifies-input
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    needed[needed.isnan().any(1)] = torch.inf
    return needed.median(1).values.argmin()
