"""Rise over run, from the first point to the last.

exercise: 13.1
rung: hand
diagnosis: two-points-only
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    alpha = (y[-1] - y[0]) / (x[-1] - x[0])
    return torch.stack([alpha, y[0] - alpha * x[0]])
