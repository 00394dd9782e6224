"""What was read once is there.

exercise: 06.3
rung: hand
diagnosis: once-each
"""

import math

import torch


def rows_loaded(n1, n2, block_k):
    return n1 + n2
