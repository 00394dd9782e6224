"""Attention projects three times.

exercise: 11.1
rung: random
diagnosis: three-for-five
"""


def attention_weights(width, heads, key_heads, kind):
    """The number of weights of one attention."""
    D, n = width // heads, 2
    return width * D * (heads + n * key_heads) + width * width
