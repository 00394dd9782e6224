"""There are n2 // block_k tiles.

exercise: 06.3
rung: random
diagnosis: rounded-down
"""

import math

import torch


def rows_loaded(n1, n2, block_k):
    return n2 + n2 // block_k * n1
