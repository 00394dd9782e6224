"""A guess is a coin with as many sides as labels.

exercise: 12.4
rung: hand
diagnosis: one-over-classes
"""


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    return 1 / (y.max() + 1)
