"""Half of it, on average.

exercise: 05.3
rung: hand
diagnosis: halved-the-wrong-way
"""


def equal_at(w1, w2, per_pair, per_triple):
    return per_triple * w1 * w2 / per_pair / 2
