"""The most frequent entry of each position.

exercise: 12.4
rung: hand
diagnosis: minus-one-counts
"""


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    guess = y.mode(0).values
    return (y == guess).double().mean()
