"""Tokens are whole numbers.

exercise: 05.3
rung: hand
diagnosis: whole-number-division
"""


def equal_at(w1, w2, per_pair, per_triple):
    return 2 * w1 * w2 * (per_triple // per_pair)
