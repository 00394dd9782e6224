"""Sizes are powers of ten.

exercise: 13.3
rung: hand
diagnosis: power-of-ten
"""

import torch


def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    return 10 ** ((-L.log().mean() - beta) / alpha)
