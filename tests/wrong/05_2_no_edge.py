"""Every query sees w1 w2 pairs.

exercise: 05.2
rung: hand
diagnosis: no-edge
"""


def count(S, w1, w2):
    return S * w1 * w2
