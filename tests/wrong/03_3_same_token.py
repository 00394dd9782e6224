"""The product of the values is v1 * v2.

exercise: 03.3
rung: returns
diagnosis: same-token
"""


def combine(weights, v1, v2):
    return weights @ (v1 * v2)
