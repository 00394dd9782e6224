"""Axis 0 is the axis to normalise.

exercise: 01.2
rung: hand
diagnosis: softmax-over-queries
"""

import torch


def attention(q, k, v):
    return (q @ k.T / q.shape[-1] ** 0.5).softmax(dim=0) @ v
