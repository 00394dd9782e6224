"""How many times as many tokens they need.

exercise: 12.3
rung: hand
diagnosis: upside-down
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = theirs.median() / ours.median()
    ratios = theirs[drawn_theirs].median(1).values / ours[drawn_ours].median(1).values
    return torch.stack([ratio, ratios.quantile(0.025), ratios.quantile(0.975)])
