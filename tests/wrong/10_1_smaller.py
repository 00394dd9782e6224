"""The faster one hides the slower one.

exercise: 10.1
rung: hand
diagnosis: smaller
"""


def lower_bound(gflop, mbyte, tflops, tbs):
    """No kernel is faster than this."""
    return min(gflop / tflops, mbyte / tbs / 1000)
