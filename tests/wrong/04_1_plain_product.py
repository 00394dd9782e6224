"""Chunk by chunk means channel by channel.

exercise: 04.1
rung: hand
diagnosis: plain-product
"""


def cross_chunks(a, b):
    return a * b
