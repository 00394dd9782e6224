"""Best against best.

exercise: 00.4
rung: hand
diagnosis: sorted
"""


def wins(first, second, margin):
    return (first.sort().values >= second.sort().values + margin).sum()
