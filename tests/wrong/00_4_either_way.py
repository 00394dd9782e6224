"""Far apart is far apart.

exercise: 00.4
rung: hand
diagnosis: either-way
"""


def wins(first, second, margin):
    return ((first - second).abs() >= margin).sum()
