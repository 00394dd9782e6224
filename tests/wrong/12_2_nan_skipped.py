"""NaN is no number, so leave it out.

exercise: 12.2
rung: random
diagnosis: nan-skipped
"""


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    return needed.nanmedian(1).values.argmin()
