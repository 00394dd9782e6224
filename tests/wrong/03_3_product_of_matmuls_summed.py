"""What is left over of the axes is summed at the end.

exercise: 03.3
rung: hand
diagnosis: product-of-matmuls-summed
"""


def combine(weights, v1, v2):
    return ((weights @ v1) * (weights @ v2)).sum(dim=1)
