"""Kernels multiply.

exercise: 10.1
rung: random
diagnosis: work-only
"""


def lower_bound(gflop, mbyte, tflops, tbs):
    """No kernel is faster than this."""
    return gflop / tflops
