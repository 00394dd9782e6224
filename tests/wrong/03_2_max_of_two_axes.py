"""max takes several axes, as sum does.

exercise: 03.2
rung: runs
diagnosis: max-of-two-axes
"""


def joint_softmax(logits):
    e = (logits - logits.max(dim=(1, 2), keepdim=True)).exp()
    return e / e.sum((1, 2), keepdim=True)
