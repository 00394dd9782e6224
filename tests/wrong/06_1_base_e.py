"""A softmax is a softmax.

exercise: 06.1
rung: hand
diagnosis: base-e
"""


def one_pass(s, v):
    return s.softmax(0) @ v
