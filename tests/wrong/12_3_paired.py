"""Seed 0 against seed 0.

exercise: 12.3
rung: hand
diagnosis: paired
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours / theirs
    ratios = ratio[drawn_ours].median(1).values
    return torch.stack([ratio.median(), ratios.quantile(0.025), ratios.quantile(0.975)])
