"""Any maximum will do.

exercise: 03.2
rung: finite
diagnosis: maximum-over-j
"""


def joint_softmax(logits):
    e = (logits - logits.amax(1, keepdim=True)).exp()
    return e / e.sum((1, 2), keepdim=True)
