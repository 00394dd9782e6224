"""Every j needs its own distribution over k.

exercise: 03.2
rung: hand
diagnosis: softmax-over-k
"""

import torch


def joint_softmax(logits):
    return logits.softmax(dim=-1)
