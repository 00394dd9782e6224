"""A query sees the whole context.

exercise: 05.3
rung: hand
diagnosis: causal-forgotten
"""


def equal_at(w1, w2, per_pair, per_triple):
    return per_triple * w1 * w2 / per_pair
