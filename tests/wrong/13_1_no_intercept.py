"""A proportion has no constant term.

exercise: 13.1
rung: hand
diagnosis: no-intercept
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    alpha = torch.linalg.lstsq(x[:, None], y[:, None]).solution[0, 0]
    return torch.stack([alpha, torch.zeros_like(alpha)])
