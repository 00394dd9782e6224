"""The ends are draws.

exercise: 12.3
rung: hand
diagnosis: quantiles-not-interpolated
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.median() / theirs.median()
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    low, high = ratios.quantile(0.025, interpolation="lower"), ratios.quantile(0.975, interpolation="higher")
    return torch.stack([ratio, low, high])
