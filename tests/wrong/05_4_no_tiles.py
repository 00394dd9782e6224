"""Keys come one by one.

exercise: 05.4
rung: hand
diagnosis: no-tiles
"""


def waste(positions, w1, w2, block_k):
    return (positions + w1 - 1) * (positions + w2 - 1) / (w1 * w2)
