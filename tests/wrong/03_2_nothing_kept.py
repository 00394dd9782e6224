"""A number for each query lines up with the queries.

exercise: 03.2
rung: hand
diagnosis: nothing-kept
"""


def joint_softmax(logits):
    e = (logits - logits.amax((1, 2))).exp()
    return e / e.sum((1, 2))
