"""The median is the typical label.

exercise: 12.4
rung: random
diagnosis: middle-label
"""


def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    right = 0
    for column in y.T:
        asked = column[column >= 0]
        if len(asked):
            right += (asked == asked.median()).sum().item()
    return right / (y >= 0).sum().item()
