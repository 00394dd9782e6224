"""Power laws: known ones are found again, the paper's tables are refitted, and intervals hold what they promise."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from simplex_lab import experiments, records, scaling, scaling_plots

SIZES = np.geomspace(1e5, 1e8, 6)
TASKS = ("GSM8k", "MMLU", "MMLU-pro", "MBPP")
ACTIVE = (1e9, 2e9, 3.5e9)


def law(N, alpha, beta, E=0.0):
    return E + np.exp(-beta - alpha * np.log(N))


def losses(model, task):
    return [records.published("table 2", "negative log-likelihood", active=a, model=model, task=task) for a in ACTIVE]


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, -1.0), (0.34, -5.0), (0.05, 0.5)])
def test_a_straight_line_is_found_again(alpha, beta):
    fit = scaling.straight(SIZES, law(SIZES, alpha, beta))
    assert (fit.alpha, fit.beta) == (pytest.approx(alpha), pytest.approx(beta))
    assert fit.r2 == pytest.approx(1)
    assert fit.loss(1e6) == pytest.approx(law(1e6, alpha, beta))


@pytest.mark.parametrize("E", [0.0, 0.5, 1.69])
def test_an_offset_is_found_again(E):
    fit = scaling.with_offset(SIZES, law(SIZES, 0.3, -3.0, E))
    assert pytest.approx(E, abs=1e-6) == fit.E
    assert fit.alpha == pytest.approx(0.3, abs=1e-6)


def test_an_offset_that_is_left_out_makes_the_slope_smaller():
    L = law(SIZES, 0.3, -3.0, 1.0)
    assert scaling.straight(SIZES, L).alpha < 0.2 < scaling.with_offset(SIZES, L).alpha


def test_one_bad_point_hardly_moves_the_robust_fit():
    N = np.geomspace(1e5, 1e8, 9)
    L = law(N, 0.3, -3.0, 1.0)
    L[4] *= 1.2
    assert scaling.with_offset(N, L).alpha == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("model", "alphas"),
    [("Transformer", (0.1311, 0.1160, 0.0832, 0.1588)), ("2-simplicial", (0.1558, 0.1264, 0.1002, 0.1702))],
)
def test_the_papers_table_2_refitted_at_its_nominal_sizes(model, alphas):
    assert [round(scaling.straight(ACTIVE, losses(model, task)).alpha, 4) for task in TASKS] == list(alphas)


def test_with_three_points_the_arms_intervals_overlap():
    """One degree of freedom: Student's factor is 12.7."""
    for task in TASKS:
        (_, high), (low, _) = (scaling.alpha_interval(ACTIVE, losses(m, task)) for m in ("Transformer", "2-simplicial"))
        assert low < high
    low, high = scaling.alpha_interval(ACTIVE, losses("2-simplicial", "GSM8k"))
    assert (low + high) / 2 == pytest.approx(0.156, abs=5e-4)
    assert (high - low) / 2 == pytest.approx(0.090, abs=5e-4)


@pytest.mark.parametrize(("model", "low", "high"), [("Transformer", 1.82e9, 1.85e9), ("2-simplicial", 2.00e9, 2.02e9)])
def test_published_lines_imply_a_mean_size_for_each_arm(model, low, high):
    for task in TASKS:
        a, b = (records.published("table 3", name, model=model, task=task) for name in ("alpha", "beta"))
        assert low < scaling.implied_mean_size(a, b, losses(model, task)) < high


@pytest.mark.parametrize(("model", "sizes"), [("Transformer", (1.01, 1.91, 3.21)), ("2-simplicial", (1.10, 2.08, 3.51))])
def test_implied_sizes_reproduce_the_published_slopes(model, sizes):
    alphas, betas = ([records.published("table 3", name, model=model, task=t) for t in TASKS] for name in ("alpha", "beta"))
    N = scaling.implied_sizes([losses(model, t) for t in TASKS], alphas, betas)
    assert pytest.approx(sizes, abs=0.03) == N / 1e9
    for task, alpha in zip(TASKS, alphas, strict=True):
        assert scaling.straight(N, losses(model, task)).alpha == pytest.approx(alpha, abs=3e-4)


def tables_3_and_4(model):
    alphas, betas = ([records.published("table 3", name, model=model, task=t) for t in TASKS] for name in ("alpha", "beta"))
    residuals = [records.published("table 4", "residual", model=model, task=t) for t in TASKS]
    return [losses(model, t) for t in TASKS], alphas, betas, residuals


@pytest.mark.parametrize(("model", "sizes"), [("Transformer", (1.01, 1.92, 3.22)), ("2-simplicial", (1.10, 2.09, 3.52))])
def test_table_4_pins_the_sizes_and_agrees_with_least_squares(model, sizes):
    tables = tables_3_and_4(model)
    N = scaling.implied_sizes(*tables)
    assert tuple((N / 1e9).round(2)) == sizes
    for task in TASKS:
        told = records.published("table 4", "residual", model=model, task=task)
        # rounding of the losses moves a residual's root by 2e-4 at the most
        assert np.sqrt(scaling.straight(N, losses(model, task)).residual) == pytest.approx(np.sqrt(told), abs=2e-4)
    assert scaling.rounding_moves(*tables) < 0.008
    assert scaling.rounding_moves(*tables[:3]) > 2.5 * scaling.rounding_moves(*tables)


@pytest.mark.parametrize(
    ("task", "difference", "half"), [("GSM8k", 0.025, 0.073), ("MMLU", 0.010, 0.021), ("MMLU-pro", 0.017, 0.053), ("MBPP", 0.011, 0.126)]
)
def test_no_difference_of_the_papers_slopes_leaves_out_zero(task, difference, half):
    d, low, high = scaling.difference_interval(ACTIVE, *(losses(m, task) for m in ("Transformer", "2-simplicial")))
    assert (round(d, 3), round((high - low) / 2, 3)) == (difference, half)
    assert low < 0 < high


def test_the_interval_of_a_difference_covers_and_is_students_where_scatter_is_equal():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        first, second = (law(SIZES, a, -2.0) * np.exp(s * random.standard_normal(6)) for a, s in ((0.2, 0.02), (0.25, 0.01)))
        _, low, high = scaling.difference_interval(SIZES, first, second)
        hits += low < 0.05 < high
    assert 0.92 < hits / 400 < 0.98
    bent = law(SIZES, 0.2, -2.0) * np.exp([0.01, -0.01, 0, 0, -0.01, 0.01])
    low, high = scaling.alpha_interval(SIZES, bent)
    _, left, right = scaling.difference_interval(SIZES, bent, bent)
    stderr = (high - low) / 2 / stats.t.ppf(0.975, 4)
    assert (right - left) / 2 == pytest.approx(stats.t.ppf(0.975, 8) * np.sqrt(2) * stderr)


def test_an_interval_from_t_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        low, high = scaling.alpha_interval(SIZES, law(SIZES, 0.2, -2.0) * np.exp(0.02 * random.standard_normal(len(SIZES))))
        hits += low < 0.2 < high
    assert 0.92 < hits / 400 < 0.98


def test_three_seeds_make_a_bootstrap_that_promises_too_much():
    """95% said, about 83% held."""
    N, truth = np.geomspace(1e5, 1e7, 5), scaling.PowerLaw(0.13, -1.8, 0.0, 0, 1, 5)
    held = [scaling.bootstrap_coverage(truth, N, seeds, repeats=2000, draws=400) for seeds in (3, 10, 30)]
    assert held == pytest.approx([0.82, 0.92, 0.94], abs=0.02)
    random, hits = np.random.default_rng(0), 0
    for _ in range(100):  # the same with the function that the chapter uses
        L = truth.loss(N)[:, None] * np.exp(0.01 * random.standard_normal((5, 3)))
        low, high = scaling.interval(scaling.bootstrap(dict(zip(N, L, strict=True)), draws=60))
        hits += low < 0.13 < high
    assert 0.7 < hits / 100 < 0.9


def test_the_bootstrap_sees_the_spread_of_seeds():
    random = np.random.default_rng(1)
    calm, wild = ({N: law(N, 0.2, -2.0) * np.exp(noise * random.standard_normal(5)) for N in SIZES} for noise in (1e-3, 1e-1))
    narrow, wide = (np.ptp(scaling.interval(scaling.bootstrap(runs, draws=200))) for runs in (calm, wild))
    assert 20 * narrow < wide
    low, high = scaling.interval(scaling.bootstrap(wild, draws=200))
    assert low < 0.2 < high
    assert np.array_equal(scaling.bootstrap(calm, draws=20, seed=3), scaling.bootstrap(calm, draws=20, seed=3))


@pytest.mark.parametrize(
    ("N", "L", "words"),
    [
        ((1e6, 1e7), (1.0,), "equal length"),
        ((1e6, -1e7), (1.0, 0.9), "positive"),
        ((1e6, 1e7), (1.0, float("nan")), "positive and finite"),
        ((1e6, 1e6), (1.0, 0.9), "at least 2"),
    ],
)
def test_what_has_no_slope_is_refused(N, L, words):
    with pytest.raises(ValueError, match=words):
        scaling.straight(N, L)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        scaling.with_offset((1e6, 1e7), (1.0, 0.9))
    with pytest.raises(ValueError, match="at least 3"):
        scaling.alpha_interval((1e6, 1e7), (1.0, 0.9))
    with pytest.raises(ValueError, match="at least 3"):
        scaling.difference_interval((1e6, 1e7), (1.0, 0.9), (1.0, 0.8))


def test_a_published_number_is_one_or_none():
    assert records.published("table 3", "alpha", model="Transformer", task="GSM8k") == 0.142
    for config in ({"model": "Transformer"}, {"model": "Transformer", "task": "chess"}):
        with pytest.raises(KeyError, match="0 numbers"):
            records.published("table 3", "alpha", **config)


def test_lines_and_intervals_are_drawn_where_they_are():
    fits = {m: scaling.straight(ACTIVE, losses(m, "GSM8k")) for m in ("Transformer", "2-simplicial")}
    fig = scaling_plots.lines({"GSM8k": {m: (ACTIVE, losses(m, "GSM8k"), f) for m, f in fits.items()}})
    points = [line for line in fig.axes[0].lines if line.get_linestyle() == "None"]
    assert [list(line.get_ydata()) for line in points] == [losses(m, "GSM8k") for m in fits]
    (ax,) = scaling_plots.slopes({"GSM8k": {"Transformer": (0.13, 0.11, 0.15)}}).axes
    assert list(ax.lines[0].get_xdata()) == [0.11, 0.15]
    assert float(ax.lines[1].get_xdata()[0]) == 0.13
    plt.close("all")


def test_our_own_grid_keeps_models_sizes_and_seeds_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments.records, "RESULTS", tmp_path)
    assert experiments.grid("code") == {"dot product": {}, "2-simplicial": {}}
    source = records.provenance("simplex-lab sweep --experiment sizes --device cpu")
    rows = []
    for task, arm, parameters, loss in (
        ("code", "dot product, width 64", 100, 2.0),
        ("code", "2-simplicial, width 64", 101, 1.9),
        ("x", "dot product, width 64", 7, 9.0),
    ):
        for seed in (0, 1):
            config = {"task": task, "arm": arm, "parameters": parameters}
            rows.append(records.row("sizes", config, seed, "final held-out loss", loss + seed, "nats", source))
            rows.append(records.row("sizes", config, seed, "final accuracy", 0.5, "1", source))
    records.write(tmp_path / "sizes.csv", rows)
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    assert experiments.grid("code") == {"dot product": {100: [2.0, 3.0]}, "2-simplicial": {101: [1.9, 2.9]}}


def test_a_fit_from_near_is_the_fit_from_afar():
    L = law(SIZES, 0.4, -4.0, 0.5) * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(SIZES)))
    far = scaling.with_offset(SIZES, L)
    near = scaling.with_offset(SIZES, L, near=replace(far, E=far.E * 0.9))
    assert (near.alpha, near.E) == pytest.approx((far.alpha, far.E), rel=1e-3)
