"""A tile has two sides.

exercise: 05.4
rung: hand
diagnosis: both-tiled
"""


def waste(positions, w1, w2, block_k):
    first, second = (-(-(positions + w - 1) // block_k) * block_k for w in (w1, w2))
    return first * second / (w1 * w2)
