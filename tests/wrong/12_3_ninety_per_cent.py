"""5% outside, so 0.05 and 0.95.

exercise: 12.3
rung: hand
diagnosis: ninety-per-cent
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.median() / theirs.median()
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.stack([ratio, ratios.quantile(0.05), ratios.quantile(0.95)])
