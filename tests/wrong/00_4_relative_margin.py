"""A tenth better.

exercise: 00.4
rung: hand
diagnosis: relative-margin
"""


def wins(first, second, margin):
    return (first >= second * (1 + margin)).sum()
