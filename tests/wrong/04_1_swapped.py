"""A product is a product, whatever the order.

exercise: 04.1
rung: hand
diagnosis: swapped
"""

import torch


def cross_chunks(a, b):
    S, D = a.shape
    a3, b3 = a.reshape(S, -1, 3), b.reshape(S, -1, 3)
    return torch.linalg.cross(b3, a3).reshape(S, D)
