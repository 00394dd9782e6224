"""Three numbers in a tensor.

exercise: 12.3
rung: returns
diagnosis: wrong-dtype
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.median() / theirs.median()
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.tensor([ratio.item(), ratios.quantile(0.025).item(), ratios.quantile(0.975).item()])
