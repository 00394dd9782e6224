"""R queries reach R keys further.

exercise: 05.4
rung: hand
diagnosis: one-too-many
"""


def waste(positions, w1, w2, block_k):
    return (positions + w1) * -(-(positions + w2) // block_k) * block_k / (w1 * w2)
