"""Reached means reached for good.

exercise: 12.1
rung: hand
diagnosis: for-good
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for n in range(len(tokens)):
        if (accuracy[n:] >= target).all():
            return tokens[n]
    return math.inf
