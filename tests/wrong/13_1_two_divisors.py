"""Covariance over variance.

exercise: 13.1
rung: hand
diagnosis: two-divisors
"""

import torch


def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    x, y = N.log(), -L.log()
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    alpha = covariance / x.var()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
