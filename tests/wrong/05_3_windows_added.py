"""Two windows, so their sum.

exercise: 05.3
rung: hand
diagnosis: windows-added
"""


def equal_at(w1, w2, per_pair, per_triple):
    return 2 * per_triple * (w1 + w2) / per_pair
