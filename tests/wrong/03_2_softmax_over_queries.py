"""The first axis is the one to normalise.

exercise: 03.2
rung: hand
diagnosis: softmax-over-queries
"""

import torch


def joint_softmax(logits):
    return logits.softmax(0)
