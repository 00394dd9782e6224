"""One maximum is enough: a constant cancels.

exercise: 03.2
rung: large logits
diagnosis: one-maximum-for-all
"""


def joint_softmax(logits):
    e = (logits - logits.max()).exp()
    return e / e.sum((1, 2), keepdim=True)
