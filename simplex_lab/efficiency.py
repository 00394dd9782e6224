"""How many tokens does a model need? The first evaluation that reaches a target, ratios of two arms, and how sure one can be of them.

A run that never reaches the target needs more than its budget: it counts as infinity, not as the budget, and is left out of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Ratio:
    """Tokens of one arm over tokens of another, medians over seeds, with an interval. Infinite: only the other arm got there."""

    value: float
    low: float
    high: float

    def verdict(self, margin: float = 1.0) -> str:
        """``wins`` if the whole interval lies below ``margin``, ``loses`` above ``1 / margin``, else ``ties``."""
        if self.high < margin:
            return "wins"
        return "loses" if self.low > 1 / margin else "ties"


def tokens_to(target: float, tokens: Sequence[int], values: Sequence[float], *, rising: bool = True) -> float:
    """Tokens at the first evaluation whose value reaches ``target`` (``rising=False``: falls to it), or infinity."""
    for t, value in zip(tokens, values, strict=True):
        if (value >= target) if rising else (value <= target):
            return float(t)
    return math.inf


def ratio(ours: Sequence[float], theirs: Sequence[float], *, draws: int = 10_000, level: float = 0.95, seed: int = 0) -> Ratio:
    """Median of ``ours`` over median of ``theirs``; the interval draws seeds anew within each arm.

    Where neither median is finite nothing can be said: NaN, from 0 to infinity.

    Raises:
        ValueError: an arm without runs.
    """
    a, b = (np.asarray(x, dtype=float) for x in (ours, theirs))
    if not (len(a) and len(b)):
        raise ValueError("a ratio needs a run of each arm")
    random = np.random.default_rng(seed)
    drawn = _over(*(np.median(random.choice(x, (draws, len(x))), axis=1) for x in (a, b)))
    value = float(_over(np.median(a), np.median(b)))
    ends = (np.where(np.isnan(drawn), other, drawn) for other in (0.0, np.inf))  # what cannot be said widens both ends
    low, high = (
        float(np.quantile(x, q, method=m)) for x, q, m in zip(ends, ((1 - level) / 2, (1 + level) / 2), ("lower", "higher"), strict=True)
    )
    return Ratio(value, low, high)


@dataclass(frozen=True)
class Difference:
    """Mean over seeds of what one arm has more than another, with an interval."""

    mean: float
    low: float
    high: float


def paired(ours: Sequence[float], theirs: Sequence[float], level: float = 0.95) -> Difference:
    """Mean of ``ours - theirs``, seed by seed, ``m +- t s / sqrt(n)`` with Student's ``t`` of ``n - 1`` degrees of freedom.

    What both runs of a seed share, such as the data that they are judged on, falls out. Differences are taken to be about normal.

    Raises:
        ValueError: fewer than two seeds, or not the same number in both.
    """
    a, b = (np.asarray(x, dtype=float) for x in (ours, theirs))
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"{len(a)} and {len(b)} runs: pairs need the same seeds, two at least")
    d = a - b
    half = float(stats.t.ppf((1 + level) / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
    return Difference(float(d.mean()), float(d.mean()) - half, float(d.mean()) + half)


def best_arm(arms: dict[str, Sequence[float]]) -> str:
    """The arm that needs the fewest tokens in the median; of two that never get there the first."""
    return min(arms, key=lambda name: np.median(arms[name]))


def _over(a, b):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(a) / np.asarray(b)
