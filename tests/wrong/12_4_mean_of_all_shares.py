"""A share for each position, 0 where nothing is asked.

exercise: 12.4
rung: hand
diagnosis: mean-of-all-shares
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    counts = torch.stack([(y == label).sum(0) for label in range(int(y.max()) + 1)])
    return (counts.amax(0) / (y >= 0).sum(0)).nan_to_num(0.0).mean()
