"""The best guess is the mean of all draws.

exercise: 12.3
rung: hand
diagnosis: mean-of-the-draws
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.stack([ratios.mean(), ratios.quantile(0.025), ratios.quantile(0.975)])
