"""Nothing reached, nothing needed.

exercise: 12.1
rung: random
diagnosis: unknown
"""


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    reached = tokens[accuracy >= target]
    return reached[0] if len(reached) else 0
