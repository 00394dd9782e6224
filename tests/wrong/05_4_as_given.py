"""The largest rectangle covers the others.

exercise: 05.4
rung: hand
diagnosis: as-given
"""


def waste(positions, w1, w2, block_k):
    return max(positions, w1) * max(positions, w2) / (w1 * w2)
