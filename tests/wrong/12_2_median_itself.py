"""The smallest median.

exercise: 12.2
rung: hand
diagnosis: median-itself
"""


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    out = needed.isnan().any(1)
    return needed[~out].median(1).values.min()
