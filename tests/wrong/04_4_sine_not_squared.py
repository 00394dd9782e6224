"""A sine comes from the cosine.

exercise: 04.4
rung: hand
diagnosis: sine-not-squared
"""

import math


def sharpness(n, M, share):
    return (2 * math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M))
