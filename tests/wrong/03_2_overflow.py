"""The formula can be written down as it stands.

exercise: 03.2
rung: large logits
diagnosis: overflow
"""

import torch


def joint_softmax(logits):
    e = torch.exp(logits)
    return e / e.sum(dim=(1, 2), keepdim=True)
