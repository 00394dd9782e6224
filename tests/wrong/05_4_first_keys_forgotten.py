"""Only second keys are tiled.

exercise: 05.4
rung: hand
diagnosis: first-keys-forgotten
"""


def waste(positions, w1, w2, block_k):
    return -(-(positions + w2 - 1) // block_k) * block_k / w2
