"""A run that never arrives has no number.

exercise: 12.1
rung: returns
diagnosis: returns-none
"""


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for t, a in zip(tokens, accuracy, strict=True):
        if a >= target:
            return t
