"""A share for each position, then their mean.

exercise: 12.4
rung: hand
diagnosis: mean-of-shares
"""

import torch


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    shares = []
    for labels in y.T:
        asked = labels[labels >= 0]
        if len(asked):
            shares.append(asked.bincount().max() / len(asked))
    return torch.stack(shares).mean()
