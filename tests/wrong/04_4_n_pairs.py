"""n tokens, so n pairs.

exercise: 04.4
rung: hand
diagnosis: n-pairs
"""

import math


def sharpness(n, M, share):
    return (math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M) ** 2)
