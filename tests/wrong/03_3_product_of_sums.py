"""Averages may be multiplied afterwards.

exercise: 03.3
rung: random
diagnosis: product-of-sums
"""

import torch


def combine(weights, v1, v2):
    return (weights.sum(2) @ v1) * (weights.sum(1) @ v2)
