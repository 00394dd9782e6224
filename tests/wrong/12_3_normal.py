"""Mean and 1.96 standard deviations.

exercise: 12.3
rung: hand
diagnosis: normal
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.median() / theirs.median()
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    mean, spread = ratios.mean(), ratios.std()
    return torch.stack([ratio, mean - 1.96 * spread, mean + 1.96 * spread])
