"""argmax finds the first True.

exercise: 12.1
rung: random
diagnosis: first-if-never
"""


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    return tokens[(accuracy >= target).int().argmax()]
