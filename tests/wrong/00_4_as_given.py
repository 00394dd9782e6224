"""It printed a number.

exercise: 00.4
rung: hand
diagnosis: as-given
"""


def wins(first, second, margin):
    return (first >= second.min() + margin).sum()
