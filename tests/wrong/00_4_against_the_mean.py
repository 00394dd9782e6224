"""Against the average.

exercise: 00.4
rung: hand
diagnosis: against-the-mean
"""


def wins(first, second, margin):
    return (first >= second.mean() + margin).sum()
