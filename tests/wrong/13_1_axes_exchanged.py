"""lstsq(a, b): the matrix holds what is fitted.

exercise: 13.1
rung: hand
diagnosis: axes-exchanged
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    A = torch.stack([y, torch.ones_like(y)], 1)
    return torch.linalg.lstsq(A, x[:, None]).solution[:, 0]
