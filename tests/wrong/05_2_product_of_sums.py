"""All pairs times all pairs.

exercise: 05.2
rung: hand
diagnosis: product-of-sums
"""


def count(S, w1, w2):
    return sum(min(i + 1, w1) for i in range(S)) * sum(min(i + 1, w2) for i in range(S))
