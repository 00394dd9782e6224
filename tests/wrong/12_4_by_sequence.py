"""The most frequent label of each row.

exercise: 12.4
rung: hand
diagnosis: by-sequence
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    counts = torch.stack([(y == label).sum(1) for label in range(int(y.max()) + 1)])
    return counts.amax(0).sum() / (y >= 0).sum()
