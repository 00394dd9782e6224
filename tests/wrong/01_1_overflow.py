"""The formula can be written down as it stands.

exercise: 01.1
rung: large logits
diagnosis: overflow
"""

import torch


def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)
