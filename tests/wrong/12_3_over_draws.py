"""The median over axis 0.

exercise: 12.3
rung: hand
diagnosis: unknown
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.median() / theirs.median()
    ratios = ours[drawn_ours].median(0).values / theirs[drawn_theirs].median(0).values
    return torch.stack([ratio, ratios.quantile(0.025), ratios.quantile(0.975)])
