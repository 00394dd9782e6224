"""Solve for the mean of log N.

exercise: 13.3
rung: hand
diagnosis: no-exp
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return (-L.log().mean() - beta) / alpha
