"""The dearer one divides.

exercise: 05.3
rung: hand
diagnosis: upside-down
"""


def equal_at(w1, w2, per_pair, per_triple):
    return 2 * per_pair * w1 * w2 / per_triple
