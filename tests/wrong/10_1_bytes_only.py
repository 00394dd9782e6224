"""Kernels move bytes.

exercise: 10.1
rung: hand
diagnosis: bytes-only
"""


def lower_bound(gflop, mbyte, tflops, tbs):
    """No kernel is faster than this."""
    return mbyte / tbs / 1000
