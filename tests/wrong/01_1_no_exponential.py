"""Dividing by the sum is what makes weights.

exercise: 01.1
rung: finite
diagnosis: no-exponential
"""

import torch


def softmax(x):
    return x / x.sum(-1, keepdim=True)
