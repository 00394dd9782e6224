"""Where the model is best.

exercise: 12.1
rung: hand
diagnosis: largest
"""


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    return tokens[accuracy.argmax()]
