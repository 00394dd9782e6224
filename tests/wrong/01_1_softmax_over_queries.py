"""The softmax normalises the first axis.

exercise: 01.1
rung: hand
diagnosis: softmax-over-queries
"""

import torch


def softmax(x):
    e = (x - x.amax(0)).exp()
    return e / e.sum(0)
