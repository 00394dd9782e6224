"""The average over seeds.

exercise: 12.3
rung: hand
diagnosis: means
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ratio = ours.mean() / theirs.mean()
    ratios = ours[drawn_ours].mean(1) / theirs[drawn_theirs].mean(1)
    return torch.stack([ratio, ratios.quantile(0.025), ratios.quantile(0.975)])
