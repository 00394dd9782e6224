"""Weights times values, as in chapter 01, once for each value.

exercise: 03.3
rung: returns
diagnosis: product-of-matmuls
"""


def combine(weights, v1, v2):
    return (weights @ v1) * (weights @ v2)
