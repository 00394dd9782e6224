"""There is always a first one.

exercise: 12.1
rung: runs
diagnosis: raised
"""


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    return tokens[accuracy >= target][0]
