"""What worked for one plane works for all of them.

exercise: 03.2
rung: hand
diagnosis: one-for-all-queries
"""


def joint_softmax(logits):
    return logits.flatten().softmax(0).view(logits.shape)
