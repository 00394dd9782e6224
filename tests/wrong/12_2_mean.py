"""The average over seeds.

exercise: 12.2
rung: hand
diagnosis: mean
"""

import torch


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    average = needed.mean(1)
    return average.masked_fill(average.isnan(), torch.inf).argmin()
