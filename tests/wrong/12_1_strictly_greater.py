"""Above the target.

exercise: 12.1
rung: hand
diagnosis: strictly-greater
"""

import math


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    reached = tokens[accuracy > target]
    return reached[0] if len(reached) else math.inf
