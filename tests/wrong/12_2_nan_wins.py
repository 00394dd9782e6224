"""The median, then the smallest.

exercise: 12.2
rung: random
diagnosis: nan-wins
"""


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    return needed.median(1).values.argmin()
