"""Right ones over all of them.

exercise: 12.4
rung: hand
diagnosis: all-in-the-denominator
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    counts = torch.stack([(y == label).sum(0) for label in range(int(y.max()) + 1)])
    return counts.amax(0).sum() / y.numel()
