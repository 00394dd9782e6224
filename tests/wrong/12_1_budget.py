"""Who never arrives needs the whole budget.

exercise: 12.1
rung: random
diagnosis: budget
"""


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    for t, a in zip(tokens, accuracy, strict=True):
        if a >= target:
            return t
    return tokens[-1]
