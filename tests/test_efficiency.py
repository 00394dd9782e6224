"""Tokens to a target and their ratios: known answers, runs that never get there, intervals that cover."""

import math

import numpy as np
import pytest

from simplex_lab.efficiency import Ratio, best_arm, paired, ratio, tokens_to

INF = math.inf


@pytest.mark.parametrize(
    ("target", "values", "rising", "expected"),
    [
        (0.9, [0.5, 0.9, 0.8, 1.0], True, 20),
        (0.95, [0.5, 0.9, 0.8, 1.0], True, 40),
        (1.1, [0.5, 0.9, 0.8, 1.0], True, INF),
        (0.8, [2.0, 1.0, 0.8, 0.7], False, 30),
        (0.5, [0.5, math.nan, math.nan, math.nan], True, 10),
        (0.6, [0.5, math.nan, math.nan, math.nan], True, INF),
    ],
)
def test_the_first_evaluation_that_reaches_the_target(target, values, rising, expected):
    assert tokens_to(target, [10, 20, 30, 40], values, rising=rising) == expected


def test_a_ratio_is_that_of_medians():
    found = ratio([1, 2, 3], [10, 20, 30, 40, 50])
    assert found.value == 2 / 30
    assert 1 / 50 <= found.low < found.value < found.high <= 3 / 10


def test_equal_runs_have_no_spread():
    assert ratio([5, 5, 5], [20, 20, 20]) == Ratio(0.25, 0.25, 0.25)


def test_runs_that_never_get_there_count_as_infinity():
    assert ratio([5, 5, 5], [INF, INF, INF]) == Ratio(0.0, 0.0, 0.0)
    assert ratio([INF, INF, INF], [5, 5, 5]) == Ratio(INF, INF, INF)
    half = ratio([5, 5, INF], [20, 20, 20])
    assert (half.value, half.high) == (0.25, INF)


def test_where_neither_gets_there_nothing_is_said():
    found = ratio([INF, INF], [INF, INF])
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0.0, INF)
    assert found.verdict() == "ties"


@pytest.mark.parametrize(
    ("interval", "margin", "says"),
    [
        ((0.1, 0.2), 1.0, "wins"),
        ((0.1, 1.2), 1.0, "ties"),
        ((1.1, 2.0), 1.0, "loses"),
        ((0.7, 0.9), 0.6, "ties"),
        ((1.2, 1.5), 0.6, "ties"),
    ],
)
def test_a_verdict_needs_the_whole_interval(interval, margin, says):
    assert Ratio(0.5, *interval).verdict(margin) == says


def test_the_interval_covers_the_true_ratio():
    random, hits = np.random.default_rng(0), 0
    for n in range(200):
        ours, theirs = (np.exp(0.3 * random.standard_normal(9)) * scale for scale in (1.0, 4.0))
        found = ratio(ours, theirs, draws=400, seed=n)
        hits += found.low <= 0.25 <= found.high
    assert hits / 200 > 0.88


def test_the_best_arm_is_the_one_with_the_smallest_median():
    assert best_arm({"a": [5, 9, 9], "b": [8, 8, 8], "c": [INF, INF, 1]}) == "b"
    assert best_arm({"a": [INF], "b": [INF]}) == "a"


def test_an_arm_without_runs_is_refused():
    with pytest.raises(ValueError, match="each arm"):
        ratio([], [1.0])


def test_pairs_take_out_what_the_seeds_share():
    d = paired([1.0, 5.0, 9.0], [2.0, 6.5, 9.5])
    assert d.mean == pytest.approx(-1)
    assert d.high - d.mean == pytest.approx(d.mean - d.low) == pytest.approx(4.302653 * 0.5 / 3**0.5)  # t of 2 degrees of freedom


def test_the_interval_of_pairs_covers_the_true_difference():
    random, hits = np.random.default_rng(0), 0
    for _ in range(400):
        shared = 10 * random.standard_normal(5)
        d = paired(shared + random.standard_normal(5), shared + random.standard_normal(5) + 1)
        hits += d.low <= -1 <= d.high
    assert 0.92 < hits / 400 < 0.98


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [2.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_pairs_need_the_same_seeds(ours, theirs):
    with pytest.raises(ValueError, match="same seeds"):
        paired(ours, theirs)
