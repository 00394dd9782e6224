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


def with_offset(N: Sequence[float], L: Sequence[float], scale: float = 1e-3) -> PowerLaw:
    """Robust fit with an offset: the Huber-like loss of ``log L`` (``scale`` is where squares end), from several starts.

    The offset is what no size removes; it lies between 0 and the smallest loss.

    Raises:
        ValueError: fewer than three sizes: three numbers are fitted.
    """
    x, y = _logs(N, L)
    if len(np.unique(x)) < 3:
        raise ValueError(f"{len(np.unique(x))} sizes: an offset needs at least 3")
    lowest = float(np.exp(y.min()))

    def misses(p):
        return np.log(p[2] + np.exp(-p[1] - p[0] * x)) - y

    best = None
    for share in (0.0, 0.3, 0.6, 0.8, 0.9, 0.97):
        E = share * lowest
        slope, start = np.polyfit(x, -np.log(np.exp(y) - 0.999 * E), 1)
        bounds = ([0.0, -np.inf, 0.0], [np.inf, np.inf, 0.9999 * lowest])
        p0 = (max(slope, 1e-6), start, E)
        found = optimize.least_squares(misses, p0, bounds=bounds, loss="soft_l1", f_scale=scale, x_scale="jac", max_nfev=2000)
        best = found if best is None or found.cost < best.cost else best
    alpha, beta, E = map(float, best.x)
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


def implied_sizes(L: Sequence[Sequence[float]], alphas: Sequence[float], betas: Sequence[float]) -> np.ndarray:
    """The sizes that reproduce published lines best: ``L`` has a row of losses for each task, all tasks at the same sizes.

    An inference, under the assumption that the lines are least squares in natural logarithms.
    """
    y = -np.log(np.asarray(L, dtype=float))
    alphas, betas = np.asarray(alphas), np.asarray(betas)
    means = np.log([implied_mean_size(a, b, row) for a, b, row in zip(alphas, betas, L, strict=True)])

    def misses(x):
        lines = [np.polyfit(x, row, 1) for row in y]
        # a line's height at the mean size is far better known than its height at N = 1
        return np.concatenate([[a - p[0] for a, p in zip(alphas, lines, strict=True)], alphas * (means - x.mean())])

    start = means.mean() + np.linspace(-0.6, 0.6, y.shape[1])
    return np.exp(optimize.least_squares(misses, start).x)


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
