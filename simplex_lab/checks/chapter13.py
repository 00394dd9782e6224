"""Exercises of chapter 13: a power law fitted, the interval of its exponent, the sizes behind a published line, a fit with an offset."""

from __future__ import annotations

import torch

from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake

F64 = torch.float64


def _row(*numbers) -> torch.Tensor:
    return torch.tensor(numbers, dtype=F64)


def _minus_log(L):
    return -L.log()


def _squares(x):
    """Sum of squared distances from the mean."""
    return (x - x.mean()).square().sum()


def _line(x, y):
    """Slope and height at 0 of the least-squares line through (x, y); rows of y are lines of their own."""
    slope = ((x - x.mean()) * (y - y.mean(-1, keepdim=True))).sum(-1) / _squares(x)
    return torch.stack([slope, y.mean(-1) - slope * x.mean()], -1)


def _losses(gen, n, *, offset=0.0, noise=0.05):
    """n sizes from about 1e5 to 1e8, and losses that scatter about a power law with this offset."""
    N = torch.logspace(5, 8, n, dtype=F64) * (1 + 0.3 * torch.rand(n, dtype=F64, generator=gen))
    alpha = 0.1 + 0.2 * torch.rand(1, dtype=F64, generator=gen)
    L = offset + 2 * (N / 1e5) ** -alpha
    return N, L * (noise * torch.randn(n, dtype=F64, generator=gen)).exp()


# Table 2 of arXiv:2507.02754, GSM8k: the Transformer and the 2-simplicial model
ACTIVE = _row(1e9, 2e9, 3.5e9)
GSM8K = {"Transformer": _row(0.3277, 0.2987, 0.2781), "2-simplicial": _row(0.3302, 0.2942, 0.2718)}
TABLE_3 = {"Transformer": (0.1420, -1.8280), "2-simplicial": (0.1683, -2.3939)}


# --- 13.1 ----------------------------------------------------------------------------------------------------------------


def _power_law(N, L, *, sizes=torch.log, losses=_minus_log, fit=_line):
    return fit(sizes(N), losses(L))


def _ends(x, y):
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    return torch.stack([slope, y[0] - slope * x[0]])


def _through_zero(x, y):
    slope = (x * y).sum() / x.square().sum()
    return torch.stack([slope, torch.zeros_like(slope)])


def _two_divisors(x, y):
    slope = ((x - x.mean()) * (y - y.mean())).mean() / x.var()
    return torch.stack([slope, y.mean() - slope * x.mean()])


def _measured(gen, n):
    N, L = _losses(gen, n)
    return Case(f"{n} sizes", {"N": N, "L": L})


# --- 13.2 ----------------------------------------------------------------------------------------------------------------

STUDENT = {3: 12.706, 4: 4.303, 5: 3.182, 6: 2.776, 8: 2.447, 12: 2.228}  # 95%, n points and n - 2 degrees of freedom


def _interval(N, L, t, *, lost=2, losses=_minus_log, spread=lambda N: _squares(N.log()), root=torch.sqrt, misses=None):
    x, y = N.log(), losses(L)
    alpha, beta = _line(x, y)
    miss = misses(L, (-beta - alpha * x).exp()) if misses else y - alpha * x - beta
    half = t * root(miss.square().sum() / (len(N) - lost) / spread(N))
    return torch.stack([alpha - half, alpha + half])


def _scattered(gen, n):
    N, L = _losses(gen, n)
    return Case(f"{n} sizes, t={STUDENT[n]}", {"N": N, "L": L, "t": STUDENT[n]})


# --- 13.3 ----------------------------------------------------------------------------------------------------------------


def _size(alpha, beta, L, *, height=lambda L: -L.log().mean()):
    return ((height(L) - beta) / alpha).exp()


def _published(gen, n):
    N, L = _losses(gen, n)
    alpha, beta = _line(N.log(), -L.log()).tolist()
    return Case(f"a line through {n} points", {"alpha": alpha, "beta": beta, "L": L})


def _paper(model):
    alpha, beta = TABLE_3[model]
    return Case(f"GSM8k, {model}, of the paper", {"alpha": alpha, "beta": beta, "L": GSM8K[model]})


# --- 13.4 ----------------------------------------------------------------------------------------------------------------


def _logs_squared(law, L, E):
    return (law.log() - L.log()).square().sum(1)


def _logs_added(law, L, E):
    return (law.log() - L.log()).sum(1)


def _r2(law, L, E):
    y = (L - E).log()
    return ((law - E).log() - y).square().sum(1) / (y - y.mean(1, keepdim=True)).square().sum(1)


def _fit_offset(
    N, L, offsets, *, score=_logs_squared, choose=torch.argmin, sign=-1, own=True, index=False, zero=False, slope=1, flip=False
):
    x, E = N.log(), offsets[:, None]
    alpha, beta = _line(x, -(L + sign * E).log()).T
    law = E + (-beta[:, None] - alpha[:, None] * x).exp()
    at = choose(score(law, L, E))
    if not own:
        alpha = _line(x, -L.log())[0].expand_as(alpha)
    first = L.new_tensor(float(at)) if index else 0 * offsets[at] if zero else offsets[at]
    fit = torch.stack([first, slope * alpha[at]])
    return fit.flip(0) if flip else fit


# what can be wrong with it: name -> how the function above does it; the hardest to show comes first, so that drawing cases is quick
OFFSET_SLIPS = {
    "relative": {"score": lambda law, L, E: (law / L - 1).square().sum(1)},
    "other-scale": {"score": lambda law, L, E: ((law - E).log() - (L - E).log()).square().sum(1)},
    "r-squared": {"score": _r2},
    "losses-not-logged": {"score": lambda law, L, E: (law - L).square().sum(1)},
    "not-squared": {"score": _logs_added},
    "sum-squared": {"score": lambda law, L, E: _logs_added(law, L, E).square()},
    "no-E-in-the-law": {"score": lambda law, L, E: _logs_squared(law - E, L, E)},
    "absolute": {"score": lambda law, L, E: (law.log() - L.log()).abs().sum(1)},
    "largest-miss": {"score": lambda law, L, E: (law.log() - L.log()).abs().amax(1)},
    "straight-alpha": {"own": False},
    "no-offset": {"own": False, "zero": True},
    "first-offset": {"choose": lambda score: 0},
    "last-offset": {"choose": lambda score: -1},
    "worst-fit": {"choose": torch.argmax},
    "plus-offset": {"sign": 1},
    "index": {"index": True},
    "no-minus": {"slope": -1},
    "order": {"flip": True},
}


def _slip(name, says, asks):
    return Mistake(name, lambda **a: _fit_offset(**a, **OFFSET_SLIPS[name]), says, asks)


ALIKE = ("other-scale", "sum-squared", "no-E-in-the-law")  # where losses scatter much, all three choose the smallest offset


def _floored(gen, n, grid, *, noise=0.06, apart=False):
    """Losses above an offset, with so much noise that each slip shows; ``apart``: with so little that those alike part, too."""
    for _ in range(5000):
        N, L = _losses(gen, n, offset=1.0, noise=noise)
        offsets = L.min() * torch.linspace(0.1, 0.97, grid, dtype=F64)
        args = {"N": N, "L": L, "offsets": offsets[torch.randperm(grid, generator=gen)]}
        if apart and len({_fit_offset(**args, **OFFSET_SLIPS[name])[0].item() for name in ALIKE}) < len(ALIKE):
            continue
        right = _fit_offset(**args)
        if not any(torch.allclose(_fit_offset(**args, **slip), right, rtol=1e-3) for slip in OFFSET_SLIPS.values()):
            return Case(f"{n} sizes, {grid} offsets", args)
    raise RuntimeError("no case shows every slip")


SIZES = Argument("N", "n", "float64", "parameters, smallest first")
LOSSES = Argument("L", "n", "float64", "losses in nats, all positive")

EXERCISES = (
    Exercise(
        id="13.1",
        entry="power_law",
        title="fit the exponent",
        objective="Eq. 20 of the paper, `-log L = alpha log N + beta`, by least squares over all points. Logarithms are natural, everything is in float64.",
        difficulty=1,
        minutes=10,
        arguments=(SIZES, LOSSES),
        returns=Argument("law", "2", "float64", "`[alpha, beta]`"),
        hand=Case("n=4", {"N": _row(1.0, 2.0, 4.0, 8.0), "L": _row(8.0, 2.0, 4.0, 2.0)}),
        cases=lambda gen: [
            Case("GSM8k, Transformer, of the paper", {"N": ACTIVE, "L": GSM8K["Transformer"]}),
            *(_measured(gen, n) for n in (3, 4, 5, 8, 20)),
        ],
        answer=_power_law,
        axes="entry",
        question="count in units of log 2: log N is 0, 1, 2, 3 on the card and -log L is -3, -1, -2, -1. What are both means, and which line goes through the mean point?",
        mistakes=(
            Mistake(
                "no-minus",
                lambda N, L: _power_law(N, L, losses=torch.log),
                "you fitted log L; the left side of eq. 20 is MINUS log L, so both numbers have the wrong sign",
                "the loss falls as N grows: what sign has alpha in `-log L = alpha log N + beta`?",
            ),
            Mistake(
                "base-ten",
                lambda N, L: _power_law(N, L, sizes=torch.log10, losses=lambda L: -L.log10()),
                "logarithms to base 10: alpha does not mind, beta does",
                "by which factor is log 2 larger than log10 2? Compare with your beta.",
            ),
            Mistake(
                "base-two",
                lambda N, L: _power_law(N, L, sizes=torch.log2, losses=lambda L: -L.log2()),
                "logarithms to base 2: alpha does not mind, beta does",
                "what is the natural logarithm of 2? Compare with your beta.",
            ),
            Mistake(
                "two-points-only",
                lambda N, L: _power_law(N, L, fit=_ends),
                "a line through the first and the last point; the points between count as well",
                "change the second loss of the card: does your alpha or beta move?",
            ),
            Mistake(
                "no-intercept",
                lambda N, L: _power_law(N, L, fit=_through_zero),
                "the line is forced through 0: beta is fitted along with alpha",
                "what would beta = 0 say about the loss at N = 1?",
            ),
            Mistake(
                "loss-not-logged",
                lambda N, L: _power_law(N, L, losses=torch.neg),
                "-L stands where -log L belongs",
                "which of the two axes of your fit has no logarithm?",
            ),
            Mistake(
                "size-not-logged",
                lambda N, L: _power_law(N, L, sizes=lambda N: N),
                "N stands where log N belongs",
                "which of the two axes of your fit has no logarithm?",
            ),
            Mistake(
                "axes-exchanged",
                lambda N, L: _power_law(N, L, fit=lambda x, y: _line(y, x)),
                "the axes are exchanged: you fitted log N by -log L",
                "misses of which quantity does eq. 20 square, those of the loss or those of the size?",
            ),
            Mistake(
                "order",
                lambda N, L: _power_law(N, L).flip(0),
                "the two numbers are right and trade places: alpha comes first",
                "which of the two is the slope?",
            ),
            Mistake(
                "beta-sign",
                lambda N, L: _power_law(N, L) * L.new_tensor([1, -1]),
                "alpha is right, beta has the wrong sign: on the left of eq. 20 stands MINUS log L, and beta has a plus",
                "on the card alpha is 0.5 and -log L is -log 8 at log N = 0: is beta above or below 0?",
            ),
            Mistake(
                "factor-for-beta",
                lambda N, L: torch.stack([(law := _power_law(N, L))[0], (-law[1]).exp()]),
                "alpha is right; in place of beta stands exp(-beta), the factor in front of N ** -alpha",
                "which of the two is the height of the line at log N = 0?",
            ),
            Mistake(
                "two-divisors",
                lambda N, L: _power_law(N, L, fit=_two_divisors),
                "the mean of the products divides by n, `var()` divides by n - 1: the slope is too small",
                "put sums in place of both: what changes?",
            ),
        ),
        hints=(
            "Take both logarithms. Then it is an ordinary line: the slope first, then the height from the mean point.",
            "x = log N, y = -log L\nalpha = sum of (x - mean x) (y - mean y) / sum of (x - mean x)^2\nbeta = mean y - alpha * mean x",
            "`dx = x - x.mean()`, `alpha = (dx * y).sum() / dx.square().sum()`, then `torch.stack([alpha, y.mean() - alpha * x.mean()])`.",
        ),
    ),
    Exercise(
        id="13.2",
        entry="slope_interval",
        title="how sure is the slope?",
        objective="The interval of alpha in the fit of 13.1: `alpha - t * stderr` to `alpha + t * stderr`, where `stderr ** 2` is the sum of squared residuals / (n - 2) / the sum of `(log N - mean) ** 2`. All in float64.",
        difficulty=2,
        minutes=15,
        arguments=(
            SIZES,
            Argument("L", "n", "float64", "losses in nats, n is at least 3"),
            Argument("t", "", "float", "quantile of Student's t for n - 2 degrees of freedom"),
        ),
        returns=Argument("interval", "2", "float64", "`[lower, upper]`"),
        hand=Case("n=4, t=4.3", {"N": _row(1.0, 4.0, 4.0, 16.0), "L": _row(32.0, 16.0, 16.0, 2.0), "t": 4.3}),
        cases=lambda gen: [
            *(_scattered(gen, n) for n in (3, 4, 5, 8)),
            Case("GSM8k, Transformer, of the paper", {"N": ACTIVE, "L": GSM8K["Transformer"], "t": STUDENT[3]}),
            _scattered(gen, 12),
        ],
        answer=_interval,
        axes="end",
        question="count in units of log 2: log N is 0, 2, 2, 4 on the card, -log L is -5, -4, -4, -1, so alpha is 1 and each point misses by 1/2. What is stderr?",
        mistakes=(
            Mistake(
                "divided-by-n",
                lambda **a: _interval(**a, lost=0),
                "the squared residuals are divided by n: a fitted line has used up two points, n - 2 are left",
                "how large are the residuals of a line through two points?",
            ),
            Mistake(
                "divided-by-n-minus-1",
                lambda **a: _interval(**a, lost=1),
                "the squared residuals are divided by n - 1, which is right for a mean; a line has two numbers (`std()` and `var()` take n - 1)",
                "how many numbers did you fit before you looked at the residuals?",
            ),
            Mistake(
                "residual-sd",
                lambda **a: _interval(**a, spread=lambda N: 1.0),
                "that is the scatter of the points, not of the slope: divide by the spread of log N as well",
                "the same scatter, ten times the range of sizes: is the slope known better?",
            ),
            Mistake(
                "spread-per-point",
                lambda **a: _interval(**a, spread=lambda N: _squares(N.log()) / len(N)),
                "the spread of log N is the SUM of its squared distances from the mean, you took their mean",
                "more points, the same scatter: is the slope known better?",
            ),
            Mistake(
                "spread-by-var",
                lambda **a: _interval(**a, spread=lambda N: N.log().var()),
                "the spread of log N is the SUM of its squared distances from the mean, and `var()` divides it by n - 1",
                "more points, the same scatter: is the slope known better?",
            ),
            Mistake(
                "two-vars",
                lambda **a: _interval(**a, lost=1, spread=lambda N: N.log().var()),
                "one `var()` over the other: both divide by n - 1, so nothing is left that divides. The formula divides by n - 2, once",
                "the same line and scatter with 100 points: by how much does your stderr shrink?",
            ),
            Mistake(
                "spread-of-N",
                lambda **a: _interval(**a, spread=_squares),
                "the spread is that of N; the line runs over log N",
                "what lies on the horizontal axis of the fit?",
            ),
            Mistake(
                "loss-residuals",
                lambda **a: _interval(**a, misses=lambda L, law: L - law),
                "the residuals are those of L; the line was fitted to -log L",
                "what lies on the vertical axis of the fit?",
            ),
            Mistake(
                "normal-quantile",
                lambda N, L, t: _interval(N, L, 1.96),
                "1.96 belongs to a scatter that is known; here a few residuals have to tell it, and t is larger",
                "what is t for three points?",
            ),
            Mistake(
                "no-root",
                lambda **a: _interval(**a, root=lambda v: v),
                "the square root is missing: you added t times the variance",
                "is stderr on the card 1/4 or 1/16?",
            ),
            Mistake(
                "no-minus",
                lambda **a: _interval(**a, losses=torch.log),
                "the width is right, and the interval lies around minus alpha: the fit is one of MINUS log L",
                "the loss falls as N grows: what sign has alpha?",
            ),
            Mistake(
                "ends-exchanged",
                lambda **a: _interval(**a).flip(0),
                "the two ends are right and trade places: the lower one comes first",
                "which of `alpha - t * stderr` and `alpha + t * stderr` is the smaller one?",
            ),
            Mistake(
                "slope-and-half-width",
                lambda **a: torch.stack([(ends := _interval(**a)).mean(), (ends[1] - ends[0]) / 2]),
                "alpha and the half-width: both are right, and the card asks for the two ends",
                "0.13 +- 0.02: where does that interval begin, and where does it end?",
            ),
            Mistake(
                "half-widths",
                lambda **a: (ends := _interval(**a)) - ends.mean(),
                "the width is right, and the interval lies around 0: alpha is left out",
                "where is the middle of your interval on the card?",
            ),
            Mistake(
                "half-width-twice",
                lambda **a: ((ends := _interval(**a)) - ends.mean()).abs(),
                "twice the half-width t * stderr: the ends are alpha minus it and alpha plus it",
                "0.13 +- 0.02: where does that interval begin, and where does it end?",
            ),
        ),
        hints=(
            "Fit as in 13.1. What the line misses tells the scatter of the points; the wider log N is spread, the less of it reaches the slope.",
            "x = log N, y = -log L, alpha and beta as in 13.1\nmiss = y - alpha * x - beta\nstderr = sqrt(sum of miss^2 / (n - 2) / sum of (x - mean x)^2)\nalpha - t * stderr, alpha + t * stderr",
            "`stderr = (miss.square().sum() / (len(N) - 2) / (x - x.mean()).square().sum()).sqrt()`, then `torch.stack([alpha - t * stderr, alpha + t * stderr])`.",
        ),
    ),
    Exercise(
        id="13.3",
        entry="implied_size",
        title="which sizes were these? (derive)",
        objective="Somebody publishes alpha, beta and the losses, and not the sizes. A least-squares line passes through the mean point of (log N, -log L). Which geometric mean of the sizes follows? Computed in float64.",
        difficulty=2,
        minutes=10,
        arguments=(
            Argument("alpha", "", "float", "published slope, not 0"),
            Argument("beta", "", "float", "published height at N = 1"),
            Argument("L", "n", "float64", "the losses, in nats"),
        ),
        returns=Argument("N", "", "float64", "exp of the mean of log N"),
        hand=Case("alpha=0.5, beta=-2, n=3", {"alpha": 0.5, "beta": -2.0, "L": _row(8.0, 8.0, 1.0)}),
        cases=lambda gen: [_paper("Transformer"), _paper("2-simplicial"), *(_published(gen, n) for n in (2, 3, 5, 9))],
        answer=_size,
        question="-log L of the card is -log 8, -log 8 and 0, so its mean is -log 4. At which log N does the line `0.5 log N - 2` have that height?",
        mistakes=(
            Mistake(
                "log-of-the-mean",
                lambda **a: _size(**a, height=lambda L: -L.mean().log()),
                "you took the logarithm of the mean loss; the line was fitted to logarithms, so it is the mean of these that lies on it",
                "losses of 4 and 1: what is the mean of their logarithms, and what is the logarithm of their mean?",
            ),
            Mistake(
                "sum-for-mean",
                lambda **a: _size(**a, height=lambda L: -L.log().sum()),
                "a sum stands where the mean of -log L belongs",
                "every point twice: may the answer change?",
            ),
            Mistake(
                "beta-sign",
                lambda alpha, beta, L: _size(alpha, -beta, L),
                "beta has the wrong sign: it goes to the other side of the equation",
                "-log L = alpha log N + beta: what is alpha log N?",
            ),
            Mistake(
                "no-minus",
                lambda **a: _size(**a, height=lambda L: L.log().mean()),
                "log L stands where MINUS log L belongs",
                "which side of eq. 20 has the minus?",
            ),
            Mistake(
                "no-exp",
                lambda **a: _size(**a).log(),
                "that is the mean of log N; the size is exp of it",
                "how many parameters has a model with log N = 21?",
            ),
            Mistake(
                "multiplied",
                lambda alpha, beta, L: _size(1 / alpha, beta, L),
                "you multiplied by alpha: it stands in front of log N, so divide by it",
                "-log L = alpha log N + beta: what is log N?",
            ),
            Mistake(
                "last-loss",
                lambda **a: _size(**a, height=lambda L: -L[-1].log()),
                "only the last loss is used; a single point need not lie on the line, the mean point does",
                "change the first loss of the card: does your answer move?",
            ),
            Mistake(
                "power-of-ten",
                lambda alpha, beta, L: torch.pow(10.0, (-L.log().mean() - beta) / alpha),
                "10 to the power of a natural logarithm: undo log by exp",
                "what is exp(log 2), and what is 10 ** log 2?",
            ),
        ),
        hints=(
            "Put the means into eq. 20 and solve for the mean of log N.",
            "y = mean of -log L\ny = alpha * x + beta, so x = (y - beta) / alpha\nthe geometric mean of the sizes is exp(x)",
            "`((-L.log().mean() - beta) / alpha).exp()`",
        ),
    ),
    Exercise(
        id="13.4",
        entry="fit_offset",
        title="an offset under the loss",
        objective="For each offset E fit `-log(L - E) = alpha log N + beta` by least squares. The law is then `E + exp(-beta) N ** -alpha`. Choose the E whose law has the smallest sum of squared residuals of log L. All in float64.",
        difficulty=3,
        minutes=20,
        arguments=(
            SIZES,
            Argument("L", "n", "float64", "losses in nats, n is at least 4"),
            Argument("offsets", "g", "float64", "positive, all below the smallest loss, in any order"),
        ),
        returns=Argument("fit", "2", "float64", "`[E, alpha]` of the chosen fit"),
        hand=Case(
            "n=6, eight offsets",
            {
                "N": _row(1.0, 4.0, 16.0, 64.0, 256.0, 1024.0),
                "L": _row(35.0, 19.0, 11.0, 11.0, 5.0, 5.0),
                "offsets": _row(2.5, 4.5, 1.0, 3.5, 3.0, 1.5, 4.0, 2.0),
            },
        ),
        cases=lambda gen: [
            *(_floored(gen, *size) for size in ((6, 30), (7, 40), (9, 50))),
            _floored(gen, 8, 60, noise=0.015, apart=True),
        ],
        answer=_fit_offset,
        chooses=True,
        axes="entry",
        question="E = 3 leaves 32, 16, 8, 8, 2 and 2 on the card, all powers of 2: what is alpha there? The sums of squared residuals of log L at E = 2.5, 3 and 3.5 are 0.1398, 0.1359 and 0.1380: which are yours?",
        mistakes=(
            _slip(
                "other-scale",
                "you compared residuals of log(L - E): each E has another scale there, and a large E makes all of them larger. Compare log L itself",
                "add E back to each fitted curve: by how much does its logarithm miss log L?",
            ),
            _slip(
                "r-squared",
                "you chose by R^2 of log(L - E), whose spread is another one at each E. Compare the misses of log L",
                "what is the total spread of log(L - E), and does E change it?",
            ),
            _slip(
                "losses-not-logged",
                "you compared residuals of L; the task says log L, so that a percent counts the same at each size",
                "which sizes decide when residuals of L are squared?",
            ),
            _slip(
                "relative",
                "you compared misses as shares of L, law / L - 1: that is near the miss of log L only while it is small",
                "a law at twice the loss and one at half of it: which misses more in each measure?",
            ),
            _slip(
                "not-squared",
                "the residuals are added without a square: misses above and below the curve cancel, and a curve that lies low wins",
                "which sign has the sum that you minimise?",
            ),
            _slip(
                "sum-squared",
                "you squared the sum; each residual is squared first, or misses above and below the curve cancel",
                "residuals of 1 and -1: what is the square of their sum, and what the sum of their squares?",
            ),
            _slip(
                "no-E-in-the-law",
                "the smallest offset won, as it does when E is missing from the law: exp(-beta) N ** -alpha is what lies above E. Add E before you compare with L",
                "which loss does your law give for a model of endless size?",
            ),
            _slip("absolute", "you added absolute values where squares belong", "what does the card say about residuals?"),
            _slip(
                "largest-miss",
                "you compared the largest residual of each fit; all points count, squared and added",
                "move a point that is not the worst one: does your choice notice?",
            ),
            _slip(
                "straight-alpha",
                "E is right, and alpha is that of the straight line without an offset: each E has an alpha of its own",
                "what comes out when you fit log(L - E) at your E?",
            ),
            _slip(
                "no-offset",
                "that is the straight line of 13.1, as if nothing were left at any size: 0 is not among the offsets",
                "what comes out when you fit log(L - E) at the first offset of the card?",
            ),
            _slip(
                "first-offset",
                "the first offset is taken, and its fit is right: nothing chooses among the others",
                "print the sum of squares at each E: which is smallest?",
            ),
            _slip(
                "last-offset",
                "the last offset is taken, and its fit is right: is the best one so far remembered in your loop?",
                "print the sum of squares at each E: which is smallest?",
            ),
            _slip("worst-fit", "the fit with the LARGEST sum is chosen", "`argmax` or `argmin`?"),
            _slip(
                "plus-offset",
                "you fitted log(L + E): the offset is part of the loss, so what falls with N is L - E",
                "a loss of 3 above an offset of 2: how much of it can a larger model still remove?",
            ),
            _slip("index", "alpha is right, and the first number is the place of E in the grid, not E", "what does `offsets[index]` give?"),
            _slip(
                "no-minus",
                "E is right, alpha has the wrong sign: the fit is one of MINUS log(L - E)",
                "the loss falls as N grows: what sign has alpha?",
            ),
            _slip("order", "the two numbers are right and trade places: E comes first", "which of the two is one of the offsets?"),
        ),
        hints=(
            "With E given, L - E is a straight line in logarithms: 13.1 fits it. Then judge all the curves by one measure, their misses of log L.",
            "for each E:\n    alpha, beta = power_law(N, L - E)\n    miss = log(E + exp(-beta) * N^-alpha) - log L\n    keep E and alpha if the sum of miss^2 is the smallest so far",
            "`miss = (E + torch.exp(-beta - alpha * N.log())).log() - L.log()`, `total = miss.square().sum()`; start with `best = torch.inf`, and set `best = total` whenever `total < best`.",
        ),
    ),
)
