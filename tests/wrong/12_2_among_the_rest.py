"""Rates that diverged are taken out first.

exercise: 12.2
rung: random
diagnosis: index-among-the-rest
"""


def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    out = needed.isnan().any(1)
    return needed[~out].median(1).values.argmin()
