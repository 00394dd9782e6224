"""1 - cos(x) is 2 sin(x)².

exercise: 04.4
rung: hand
diagnosis: whole-angle
"""

import math


def sharpness(n, M, share):
    return (2 * math.log(n) - math.log(share)) / (2 * math.sin(2 * math.pi / M) ** 2)
