"""The number of the evaluation.

exercise: 12.1
rung: hand
diagnosis: index
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for n in range(len(tokens)):
        if accuracy[n] >= target:
            return n
    return math.inf
