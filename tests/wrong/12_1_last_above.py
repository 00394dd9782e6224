"""Keep the last one that is good enough.

exercise: 12.1
rung: hand
diagnosis: last-above
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    needed = math.inf
    for t, a in zip(tokens, accuracy, strict=True):
        if a >= target:
            needed = t
    return needed
