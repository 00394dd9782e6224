"""Two digits are enough.

exercise: 12.1
rung: random
diagnosis: nearly
"""

import math

import torch


def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    reached = tokens[torch.round(accuracy, decimals=2) >= target]
    return reached[0] if len(reached) else math.inf
