"""The dot product is the logit.

exercise: 01.2
rung: hand
diagnosis: no-scale
"""

import torch


def attention(q, k, v):
    return (q @ k.T).softmax(-1) @ v
