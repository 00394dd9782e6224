"""All heads are alike.

exercise: 11.1
rung: hand
diagnosis: not-shared
"""


def attention_weights(width, heads, key_heads, kind):
    """The number of weights of one attention."""
    D, n = width // heads, 2 if kind == "dot" else 4
    return width * D * (heads + n * heads) + width * width
