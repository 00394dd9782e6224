"""The best wrong pair must stay below the share.

exercise: 04.4
rung: hand
diagnosis: one-wrong-pair
"""

import math


def sharpness(n, M, share):
    return -math.log(share) / (2 * math.sin(math.pi / M) ** 2)
