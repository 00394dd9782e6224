"""An interval has its value in the middle.

exercise: 12.3
rung: hand
diagnosis: order
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.stack([ratios.quantile(0.025), ours.median() / theirs.median(), ratios.quantile(0.975)])
