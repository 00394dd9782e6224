"""As in the chapter.

exercise: 04.4
rung: random
diagnosis: share-ignored
"""

import math


def sharpness(n, M, share):
    return (2 * math.log(n) + math.log(3)) / (2 * math.sin(math.pi / M) ** 2)
