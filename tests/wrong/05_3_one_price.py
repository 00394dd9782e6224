"""A FLOP is a FLOP.

exercise: 05.3
rung: hand
diagnosis: one-price
"""


def equal_at(w1, w2, per_pair, per_triple):
    return 2 * w1 * w2
