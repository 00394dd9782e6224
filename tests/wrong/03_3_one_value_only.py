"""The value comes from j, k only sets the weight.

exercise: 03.3
rung: hand
diagnosis: one-value-only
"""

import torch


def combine(weights, v1, v2):
    return weights.sum(2) @ v1
