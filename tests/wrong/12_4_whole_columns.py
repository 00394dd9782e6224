"""A position counts if it is always asked.

exercise: 12.4
rung: hand
diagnosis: whole-columns
"""


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    y = y[:, (y >= 0).all(0)]
    right = sum(column.bincount().max().item() for column in y.T)
    return right / y.numel() if y.numel() else 0.0
