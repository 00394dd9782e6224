"""Sums of tiles add up.

exercise: 06.2
rung: hand
diagnosis: no-maximum
"""

import math

import torch


def merge(m, l, acc):
    return acc.sum(0) / l.sum()
