"""First load, then multiply.

exercise: 10.1
rung: hand
diagnosis: added
"""


def lower_bound(gflop, mbyte, tflops, tbs):
    """No kernel is faster than this."""
    return gflop / tflops + mbyte / tbs / 1000
