"""The most frequent label of all.

exercise: 12.4
rung: hand
diagnosis: one-guess-for-all
"""


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    asked = y[y >= 0]
    return asked.bincount().max() / len(asked)
