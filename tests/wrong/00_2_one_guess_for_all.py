"""The most frequent label of all.

exercise: 00.2
rung: hand
diagnosis: one-guess-for-all
"""


def guess_line(y):
    p = y.double().mean()
    return max(p, 1 - p)
