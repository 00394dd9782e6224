"""For every first key all second keys are read.

exercise: 06.3
rung: hand
diagnosis: j-outside
"""

import math

import torch


def rows_loaded(n1, n2, block_k):
    return n1 + n1 * n2
