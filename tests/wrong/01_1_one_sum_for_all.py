"""One sum normalises the whole matrix.

exercise: 01.1
rung: hand
diagnosis: one-sum-for-all
"""

import torch


def softmax(x):
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum()
