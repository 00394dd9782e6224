"""The weight of a token is the sum over its pairs.

exercise: 03.3
rung: hand
diagnosis: same-token-summed
"""


def combine(weights, v1, v2):
    return weights.sum(dim=2) @ (v1 * v2)
