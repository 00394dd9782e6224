"""Above is above.

exercise: 00.4
rung: random
diagnosis: more-than-the-margin
"""


def wins(first, second, margin):
    return (first > second + margin).sum()
