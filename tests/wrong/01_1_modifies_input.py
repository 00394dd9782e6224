"""Working in place saves memory and hurts nobody.

exercise: 01.1
rung: memory
diagnosis: modifies-input
"""

import torch


def softmax(x):
    x -= x.amax(-1, keepdim=True)
    e = x.exp()
    return e / e.sum(-1, keepdim=True)
