"""A run is evaluated every so many tokens.

exercise: 12.1
rung: random
diagnosis: equal-steps
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for n, a in enumerate(accuracy, 1):
        if a >= target:
            return n * tokens[0]
    return math.inf
