"""Between two evaluations the curve is straight.

exercise: 12.1
rung: random
diagnosis: straight-line
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for n in range(len(tokens)):
        if accuracy[n] >= target:
            if n == 0:
                return tokens[0]
            share = (target - accuracy[n - 1]) / (accuracy[n] - accuracy[n - 1])
            return tokens[n - 1] + share * (tokens[n] - tokens[n - 1])
    return math.inf
