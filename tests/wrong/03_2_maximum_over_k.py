"""The maximum belongs to the last axis, as in any softmax.

exercise: 03.2
rung: finite
diagnosis: maximum-over-k
"""


def joint_softmax(logits):
    e = (logits - logits.amax(-1, keepdim=True)).exp()
    return e / e.sum((1, 2), keepdim=True)
