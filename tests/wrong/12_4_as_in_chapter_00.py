"""The answer of 00.2 will do.

exercise: 12.4
rung: hand
diagnosis: unknown
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    p = y.double().mean(0)
    return torch.maximum(p, 1 - p).mean()
