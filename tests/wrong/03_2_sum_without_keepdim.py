"""Broadcasting finds the right axis.

exercise: 03.2
rung: hand
diagnosis: sum-without-keepdim
"""


def joint_softmax(logits):
    e = logits.exp()
    return e / e.sum((1, 2))
