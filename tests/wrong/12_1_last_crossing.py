"""Where the curve rises through the target.

exercise: 12.1
rung: hand
diagnosis: last-crossing
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    needed = math.inf
    before = False
    for t, a in zip(tokens, accuracy, strict=True):
        if a >= target and not before:
            needed = t
        before = a >= target
    return needed
