"""At position i there are i keys.

exercise: 05.2
rung: hand
diagnosis: edge-off-by-one
"""


def count(S, w1, w2):
    return sum(min(i, w1) * min(i, w2) for i in range(S))
