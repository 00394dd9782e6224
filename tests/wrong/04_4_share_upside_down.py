"""log(1/3) is what it is.

exercise: 04.4
rung: hand
diagnosis: share-upside-down
"""

import math


def sharpness(n, M, share):
    return (2 * math.log(n) + math.log(share)) / (2 * math.sin(math.pi / M) ** 2)
