"""MB and GFLOP are both divided by a tera.

exercise: 10.1
rung: hand
diagnosis: microseconds
"""


def lower_bound(gflop, mbyte, tflops, tbs):
    """No kernel is faster than this."""
    return max(gflop / tflops, mbyte / tbs)
