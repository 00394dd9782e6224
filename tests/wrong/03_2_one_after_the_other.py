"""First k, then j: that is both.

exercise: 03.2
rung: hand
diagnosis: one-after-the-other
"""


def joint_softmax(logits):
    return logits.softmax(dim=2).softmax(dim=1)
