"""Our own seeds are what they are.

exercise: 12.3
rung: hand
diagnosis: ours-as-they-are
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.median() / theirs.median()
    ratios = ours.median() / theirs[drawn_theirs].median(1).values
    return torch.stack([ratio, ratios.quantile(0.025), ratios.quantile(0.975)])
