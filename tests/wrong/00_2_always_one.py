"""The share of ones.

exercise: 00.2
rung: hand
diagnosis: always-one
"""


def guess_line(y):
    return y.double().mean()
