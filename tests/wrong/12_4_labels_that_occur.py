"""There are as many labels as different ones occur.

exercise: 12.4
rung: random
diagnosis: labels-that-occur
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    counts = torch.stack([(y == c).sum(0) for c in range(len(y.unique()))])
    return (counts.amax(0).sum() / (y >= 0).sum()).item()
