"""Power laws of a loss in the model's size: fits, intervals, and what published fits let one infer.

Sizes ``N`` are parameters, losses ``L`` are in nats, logarithms are natural. Sources: eq. 20 of arXiv:2507.02754 for the straight line;
Hoffmann et al. 2022, arXiv:2203.15556, for the offset and the robust loss of the logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats


@dataclass(frozen=True)
class PowerLaw:
    """``L = E + exp(-beta) N^-alpha``; with ``E = 0`` that is eq. 20, ``-log L = alpha log N + beta``.

    ``residual`` is the sum of squared residuals of ``log L``, ``r2`` the share of its variance that the law explains.
    """

    alpha: float
    beta: float
    E: float
    residual: float
    r2: float
    points: int

    def loss(self, N):
        """The law's loss at ``N`` parameters."""
        return self.E + np.exp(-self.beta - self.alpha * np.log(np.asarray(N, dtype=float)))


def straight(N: Sequence[float], L: Sequence[float]) -> PowerLaw:
    """Least squares of ``-log L = alpha log N + beta``: a straight line in logarithms, without an offset.

    Raises:
        ValueError: fewer than two sizes, or numbers that have no logarithm.
    """
    x, y = _logs(N, L)
    alpha, beta = np.polyfit(x, -y, 1)
    return _law(float(alpha), float(beta), 0.0, x, y)


def with_offset(N: Sequence[float], L: Sequence[float], scale: float = 1e-3, near: PowerLaw | None = None) -> PowerLaw:
    """Robust fit with an offset: the Huber-like loss of ``log L`` (``scale`` is where squares end), from several starts.

    The offset is what no size removes; it lies between 0 and the smallest loss. ``near`` is a fit of much the same losses: the one start.

    Raises:
        ValueError: fewer than three sizes: three numbers are fitted.
    """
    x, y = _logs(N, L)
    if len(np.unique(x)) < 3:
        raise ValueError(f"{len(np.unique(x))} sizes: an offset needs at least 3")
    lowest, middle = float(np.exp(y.min())), float(x.mean())

    def misses(p):  # slope, height of the law without its offset in the middle of the sizes, offset
        return np.logaddexp(np.log(p[2]) if p[2] > 0 else -np.inf, p[1] - p[0] * (x - middle)) - y

    def moves(p):
        loss = np.exp(misses(p) + y)
        falling = 1 - p[2] / loss
        return np.stack([-(x - middle) * falling, falling, 1 / loss], axis=1)

    shares = (0.0, 0.3, 0.6, 0.8, 0.9, 0.97) if near is None else (min(near.E / lowest, 0.97),)
    best = None
    for E in (share * lowest for share in shares):
        slope, height = np.polyfit(x - middle, np.log(np.exp(y) - 0.999 * E), 1)
        bounds = ([0.0, -np.inf, 0.0], [np.inf, np.inf, 0.9999 * lowest])
        p0 = (max(-slope, 1e-6), height, E)
        found = optimize.least_squares(misses, p0, moves, bounds, loss="soft_l1", f_scale=scale, x_scale="jac", max_nfev=2000)
        best = found if best is None or found.cost < best.cost else best
    alpha, height, E = map(float, best.x)
    beta = -height - alpha * middle
    return _law(alpha, beta, E, x, y)


def alpha_interval(N: Sequence[float], L: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of :func:`straight`'s slope if the residuals are independent and normal: Student's t with ``points - 2`` degrees of freedom.

    Raises:
        ValueError: two points lie on any line; a third is needed to see how far off one is.
    """
    x, y = _logs(N, L)
    if len(x) < 3:
        raise ValueError(f"{len(x)} points: an interval needs at least 3")
    found = stats.linregress(x, -y)
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 2) * found.stderr)
    return float(found.slope) - half, float(found.slope) + half


def difference_interval(
    N: Sequence[float], first: Sequence[float], second: Sequence[float], level: float = 0.95
) -> tuple[float, float, float]:
    """How much steeper ``second`` falls than ``first`` at the sizes ``N``: the difference of the slopes and its interval's two ends.

    ``d = alpha_2 - alpha_1``, ``s^2 = s_1^2 + s_2^2`` with the standard errors of the two slopes, and ``d +- t s``. Student's ``t`` has
    ``s^4 / (s_1^4 / f + s_2^4 / f)`` degrees of freedom, ``f = points - 2`` for each line (Welch 1947, Biometrika 34, 28-35). The
    lines may scatter by different amounts; their residuals are taken to be independent of each other.

    Raises:
        ValueError: fewer than three points, as for :func:`alpha_interval`.
    """
    found = []
    for L in (first, second):
        x, y = _logs(N, L)
        if len(x) < 3:
            raise ValueError(f"{len(x)} points: an interval needs at least 3")
        found.append(stats.linregress(x, -y))
    variances = np.array([line.stderr**2 for line in found])
    freedom = variances.sum() ** 2 / (variances**2 / (len(x) - 2)).sum()
    half = float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variances.sum()))
    difference = float(found[1].slope - found[0].slope)
    return difference, difference - half, difference + half


def bootstrap(
    runs: Mapping[float, Sequence[float]],
    fit: Callable[[Sequence[float], Sequence[float]], PowerLaw] = straight,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Slopes of ``fit`` to ``draws`` resamples of ``runs``, ``{N: losses of its seeds}``: seeds are drawn anew within each size.

    That is the uncertainty from seeds alone. It knows nothing of sizes that were not run, nor of a law that does not hold.
    """
    random, sizes = np.random.default_rng(seed), sorted(runs)
    slopes = []
    for _ in range(draws):
        means = [np.mean(random.choice(np.asarray(runs[N], dtype=float), len(runs[N]))) for N in sizes]
        slopes.append(fit(sizes, means).alpha)
    return np.array(slopes)


def bootstrap_coverage(
    law: PowerLaw, N: Sequence[float], seeds: int, noise: float = 0.01, *, repeats: int = 3000, draws: int = 1000, seed: int = 0
) -> float:
    """How often the 95% interval of :func:`bootstrap` holds the ``law``'s slope, in ``repeats`` experiments with ``seeds`` runs a size.

    Losses scatter by the factor ``exp(noise * normal)``, independently. The means of ``seeds`` resampled losses scatter less than those
    of new ones, by ``sqrt((seeds - 1) / seeds)``: few seeds make the interval too narrow.
    """
    random, x = np.random.default_rng(seed), np.log(np.asarray(N, dtype=float))
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    at, hits = np.arange(len(x))[None, :, None], 0
    for _ in range(repeats):
        L = law.loss(N)[:, None] * np.exp(noise * random.standard_normal((len(x), seeds)))
        drawn = L[at, random.integers(0, seeds, (draws, len(x), seeds))].mean(2)
        low, high = interval(-np.log(drawn) @ weights)
        hits += low < law.alpha < high
    return hits / repeats


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The middle ``level`` of the values."""
    low, high = np.quantile(np.asarray(values, dtype=float), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def means(runs: Mapping[float, Sequence[float]]) -> tuple[list[float], list[float]]:
    """Sizes and the mean loss of the seeds at each, from ``{N: losses of its seeds}``."""
    return sorted(runs), [float(np.mean(runs[N])) for N in sorted(runs)]


def implied_mean_size(alpha: float, beta: float, L: Sequence[float]) -> float:
    """The geometric mean of the sizes behind a published line: least squares pass through the mean point, whatever the sizes were."""
    return float(np.exp((-np.mean(np.log(L)) - beta) / alpha))


def implied_sizes(
    L: Sequence[Sequence[float]],
    alphas: Sequence[float],
    betas: Sequence[float],
    residuals: Sequence[float] | None = None,
) -> np.ndarray:
    """The sizes that reproduce published lines best: ``L`` has a row of losses for each task, all tasks at the same sizes.

    ``residuals`` are published sums of squared residuals; they tell the sizes' distances several times as well as slopes do. An
    inference, under the assumption that the lines are least squares in natural logarithms.
    """
    y = -np.log(np.asarray(L, dtype=float))
    alphas, betas = np.asarray(alphas), np.asarray(betas)
    means = np.log([implied_mean_size(a, b, row) for a, b, row in zip(alphas, betas, L, strict=True)])
    wanted = None if residuals is None else np.sqrt(np.asarray(residuals, dtype=float))

    def misses(x):
        slopes, heights = np.polyfit(x, y.T, 1)
        # a line's height at the mean size is far better known than its height at N = 1
        parts = [alphas - slopes, alphas * (means - x.mean())]
        if wanted is not None:
            parts.append(wanted - np.linalg.norm(y - np.outer(slopes, x) - heights[:, None], axis=1))
        return np.concatenate(parts)

    start = means.mean() + np.linspace(-0.6, 0.6, y.shape[1])
    return np.exp(optimize.least_squares(misses, start).x)


def rounding_moves(L, alphas, betas, residuals=None, *, draws: int = 60, seed: int = 0) -> float:
    """The largest share by which rounding may move one of :func:`implied_sizes`, in ``draws`` of what it may hide.

    Losses, slopes and heights are taken to have four digits behind the point, ``residuals`` to be known to 3%.
    """
    random = np.random.default_rng(seed)
    told, N = [np.asarray(v, dtype=float) for v in (L, alphas, betas)], implied_sizes(L, alphas, betas, residuals)
    most = 0.0
    for _ in range(draws):
        near = [v + 5e-5 * random.uniform(-1, 1, v.shape) for v in told]
        around = None if residuals is None else np.asarray(residuals) * random.uniform(0.97, 1.03, len(residuals))
        most = max(most, float(np.abs(implied_sizes(*near, around) / N - 1).max()))
    return most


def _logs(N, L) -> tuple[np.ndarray, np.ndarray]:
    N, L = np.asarray(N, dtype=float), np.asarray(L, dtype=float)
    if N.shape != L.shape or N.ndim != 1:
        raise ValueError(f"N and L must be two rows of equal length, got {N.shape} and {L.shape}")
    if not (np.isfinite(N).all() and np.isfinite(L).all() and (N > 0).all() and (L > 0).all()):
        raise ValueError("sizes and losses must be positive and finite")
    if len(np.unique(N)) < 2:
        raise ValueError(f"{len(np.unique(N))} size: a slope needs at least 2")
    return np.log(N), np.log(L)


def _law(alpha: float, beta: float, E: float, x: np.ndarray, y: np.ndarray) -> PowerLaw:
    misses = y - np.log(E + np.exp(-beta - alpha * x))
    residual, spread = float((misses**2).sum()), float(((y - y.mean()) ** 2).sum())
    return PowerLaw(alpha, beta, E, residual, 1 - residual / spread if spread else float("nan"), len(x))
