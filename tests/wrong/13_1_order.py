"""The constant comes first, as in a polynomial's coefficients.

exercise: 13.1
rung: hand
diagnosis: order
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    A = torch.stack([torch.ones_like(x), x], 1)
    return torch.linalg.lstsq(A, y[:, None]).solution[:, 0]
