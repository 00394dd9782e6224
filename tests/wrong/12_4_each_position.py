"""One accuracy for each position.

exercise: 12.4
rung: returns
diagnosis: wrong-shape
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    counts = torch.stack([(y == label).sum(0) for label in range(int(y.max()) + 1)])
    return counts.amax(0) / (y >= 0).sum(0)
