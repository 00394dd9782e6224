"""Labels are 0 and 1.

exercise: 12.4
rung: hand
diagnosis: two-labels
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    ones, zeros = (y == 1).sum(0), (y == 0).sum(0)
    return torch.maximum(ones, zeros).sum() / (y >= 0).sum()
