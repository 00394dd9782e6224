"""Every k needs its own distribution over j.

exercise: 03.2
rung: hand
diagnosis: softmax-over-j
"""


def joint_softmax(logits):
    return logits.softmax(dim=1).nan_to_num(0)
