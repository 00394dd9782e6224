"""Every k needs its own distribution over j.

exercise: 03.2
rung: hand
diagnosis: softmax-over-j
"""

import torch


def joint_softmax(logits):
    return torch.softmax(logits, dim=1)
