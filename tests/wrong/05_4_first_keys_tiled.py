"""The first axis is tiled.

exercise: 05.4
rung: hand
diagnosis: first-keys-tiled
"""


def waste(positions, w1, w2, block_k):
    return -(-(positions + w1 - 1) // block_k) * block_k * (positions + w2 - 1) / (w1 * w2)
