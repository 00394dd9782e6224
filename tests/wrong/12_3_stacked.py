"""Both arms have equally many seeds.

exercise: 12.3
rung: runs
diagnosis: raised
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    a, b = torch.stack([ours, theirs]).median(1).values
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.stack([a / b, ratios.quantile(0.025), ratios.quantile(0.975)])
