"""A box plot shows quartiles.

exercise: 12.3
rung: hand
diagnosis: quartiles
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.stack([ours.median() / theirs.median(), ratios.quantile(0.25), ratios.quantile(0.75)])
