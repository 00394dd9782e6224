"""The first window is cut.

exercise: 05.2
rung: hand
diagnosis: one-window-cut
"""


def count(S, w1, w2):
    return sum(min(i + 1, w1) for i in range(S)) * w2
