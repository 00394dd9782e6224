"""An interval for each arm, then divide.

exercise: 12.3
rung: hand
diagnosis: unknown
"""

import torch


def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    a, b = ours[drawn_ours].median(1).values, theirs[drawn_theirs].median(1).values
    ends = [a.quantile(q) / b.quantile(q) for q in (0.025, 0.975)]
    return torch.stack([ours.median() / theirs.median(), *ends])
