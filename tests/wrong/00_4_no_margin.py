"""A lead is a lead.

exercise: 00.4
rung: hand
diagnosis: no-margin
"""


def wins(first, second, margin):
    return (first > second).sum()
