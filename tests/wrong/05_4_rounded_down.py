"""Whole tiles only.

exercise: 05.4
rung: hand
diagnosis: rounded-down
"""


def waste(positions, w1, w2, block_k):
    return (positions + w1 - 1) * ((positions + w2 - 1) // block_k * block_k) / (w1 * w2)
