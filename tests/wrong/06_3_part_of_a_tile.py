"""A part of a tile costs a part.

exercise: 06.3
rung: random
diagnosis: part-of-a-tile
"""


def rows_loaded(n1, n2, block_k):
    return n2 + n2 / block_k * n1
