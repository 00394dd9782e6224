"""A query sees w1 keys and w2 keys.

exercise: 05.2
rung: hand
diagnosis: windows-added
"""


def count(S, w1, w2):
    return sum(min(i + 1, w1) + min(i + 1, w2) for i in range(S))
