"""The evaluation before the target was reached.

exercise: 12.1
rung: hand
diagnosis: unknown
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for n in range(len(tokens)):
        if accuracy[n] >= target:
            return tokens[max(n - 1, 0)]
    return math.inf
