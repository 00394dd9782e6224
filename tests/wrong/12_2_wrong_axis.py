"""The median over axis 0.

exercise: 12.2
rung: hand
diagnosis: wrong-axis
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    middle = needed.median(0).values
    return middle.masked_fill(needed.isnan().any(0), torch.inf).argmin()
