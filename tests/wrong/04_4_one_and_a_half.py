"""To be on the safe side.

exercise: 04.4
rung: hand
diagnosis: one-and-a-half
"""

import math


def sharpness(n, M, share):
    return 1.5 * (2 * math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M) ** 2)
