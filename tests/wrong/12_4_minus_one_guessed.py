"""The most frequent entry of each position, right where it is asked.

exercise: 12.4
rung: hand
diagnosis: minus-one-guessed
"""


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    guess, asked = y.mode(0).values, y >= 0
    return (y == guess)[asked].double().mean()
