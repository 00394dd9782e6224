"""Base 2, as the kernels.

exercise: 04.4
rung: hand
diagnosis: base-two
"""

import math


def sharpness(n, M, share):
    return (2 * math.log2(n) - math.log2(share)) / (2 * math.sin(math.pi / M) ** 2)
