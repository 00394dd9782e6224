# %% [markdown] tags=["slide"]
# # 13 Scaling laws
#
# After this chapter you can
#
# - fit an exponent to losses, and put an interval on it,
# - say what three points can carry, and what an offset does to a slope,
# - read "a better exponent" as a claim, and name what would support it.

# %%
import math

import numpy as np

from simplex_lab import experiments, plots, records, scaling, scaling_plots
from simplex_lab.explorers import offset_explorer
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()

# %% [markdown] tags=["slide"]
# ## One picture
#
# The paper trains Transformers of three sizes, and the same with every fourth layer 2-simplicial. Its Table 2 has the losses on four tests. Here they are, with a straight line through each three.

# %% tags=["more"]
MODELS, ACTIVE = ("Transformer", "2-simplicial"), (1e9, 2e9, 3.5e9)
TASKS = ("GSM8k", "MMLU", "MMLU-pro", "MBPP")


def table_2(model, task):
    metric = "negative log-likelihood"
    return [records.published("table 2", metric, active=a, model=model, task=task) for a in ACTIVE]


fits = {(m, t): scaling.straight(ACTIVE, table_2(m, t)) for m in MODELS for t in TASKS}
show_figure(
    scaling_plots.lines(
        {t: {m: (ACTIVE, table_2(m, t), fits[m, t]) for m in MODELS} for t in TASKS}
    ),
    "Four panels, one a test: loss against active parameters, both logarithmic, three points a model. "
    "The 2-simplicial line starts level with the other, or above it, and falls a little faster in all four.",
    caption="results/published.csv (arXiv:2507.02754, Table 2)",
)

# %% [markdown]
# Each purple line is the steeper one. (Four of four are not four votes: the same six models took all four tests.) At 1 billion the 2-simplicial model is worse on three tests and level on the fourth, and a worse start makes a line steeper, too.
#
# The paper's claim is that steepness: the exponent. If the loss is lower by the same per cent at every size, the lines are parallel, and you save the same share of the parameters everywhere. If one line is steeper, you save more the larger you build. So it is worth asking how well a slope is known.

# %% [markdown] tags=["slide"]
# ## By hand: two points
#
# Eq. 20 of the paper, *L* the loss and *N* the parameters:
#
# $$-\log L = \alpha \log N + \beta, \qquad\text{that is}\qquad L = e^{-\beta} N^{-\alpha}.$$
#
# Ten times the parameters divide the loss by $10^{\alpha}$. Two numbers come in, two go out.

# %% tags=["more"]
tenfold = predict(
    "Alpha is 0.13. Ten times the parameters lower the loss by about", "13%", "26%", "90%"
)

# %%
print(f"10 ** -0.13 = {10**-0.13:.2f}")
tenfold.reveal("26%")

# %% [markdown]
# Take the Transformer's losses on GSM8k at 1 and at 3.5 billion. The slope between two points is a difference over a difference.

# %%
small, _, large = table_2("Transformer", "GSM8k")
alpha = (math.log(small) - math.log(large)) / math.log(3.5)
print(f"log {small} - log {large} = {math.log(small / large):.4f}")
print(f"log 3.5 = {math.log(3.5):.4f}, so alpha = {alpha:.4f}")

# %% [markdown] tags=["slide"]
# ## All eight lines, and the published ones
#
# Least squares through three points instead of two. Beside ours stand the exponents of the paper's Table 3.

# %% tags=["more"]
show_source(scaling.straight)

# %%
published = {
    (m, t): tuple(records.published("table 3", name, model=m, task=t) for name in ("alpha", "beta"))
    for m in MODELS
    for t in TASKS
}
for t in TASKS:
    ours, theirs = ([f[m, t] for m in MODELS] for f in (fits, published))
    text = "  ".join(f"{o.alpha:.4f} ({p[0]:.4f})" for o, p in zip(ours, theirs, strict=True))
    gains = ours[1].alpha / ours[0].alpha, theirs[1][0] / theirs[0][0]
    print(f"{t:9s} {text}   gain {gains[0] - 1:.1%} ({gains[1] - 1:.1%})")

# %% [markdown]
# Left the Transformer, then the 2-simplicial model, in brackets what is published. Every exponent of ours is 7 to 8% below the published one, and yet the gains agree. So the losses are the same and the *sizes* are not: 1, 2 and 3.5 billion are rounded names. We come back to that.

# %% [markdown] tags=["slide"]
# ## What three points can carry
#
# A line has two numbers. Of three points one is left over to say how far off the line is: one degree of freedom. If points scatter about the true line, independently and normally, the interval of the slope is Student's *t* times its standard error. With one degree of freedom *t* is 12.7, not 2.

# %% tags=["more"]
wide = predict(
    "The Transformer's slope on GSM8k is 0.131, R² is 0.9998. Its 95% interval is",
    "+- 0.0005",
    "+- 0.002",
    "+- 0.022",
)

# %% tags=["slide"]
intervals = {
    t: {m: (fits[m, t].alpha, *scaling.alpha_interval(ACTIVE, table_2(m, t))) for m in MODELS}
    for t in TASKS
}
value, low, high = intervals["GSM8k"]["Transformer"]
print(f"{value:.3f} +- {(high - low) / 2:.3f}, R^2 = {fits['Transformer', 'GSM8k'].r2:.4f}")
wide.reveal("+- 0.022")
show_figure(
    scaling_plots.slopes(intervals),
    "Slopes with 95% intervals from three points each. In all four tests the intervals of the two models overlap.",
)

# %% [markdown]
# In all four the intervals overlap. That does not say the exponents are equal. It says that three points do not tell. Nor does the very short purple interval of MMLU-pro say that this slope is known to 3%: three points fell on a line, as they do now and then.
#
# And R²? Draw three losses at random, sort them, fit:

# %%
random = np.random.default_rng(0)
drawn = np.sort(random.uniform(0.2, 0.4, (4000, 3)))[:, ::-1]
r2 = np.array([scaling.straight(ACTIVE, L).r2 for L in drawn])
for least in (0.9, 0.99):
    print(f"R^2 above {least}: {np.mean(r2 > least):.0%} of the random triples")

# %% [markdown]
# Random losses that fall reach 0.9 more often than not. R² measures how much of the spread the line explains, and the spread is the trend itself. And 0.9998 left the slope open by a sixth. Look at residuals instead.

# %% [markdown] tags=["slide"]
# ## Which sizes? An inference
#
# A least-squares line passes through the mean point: the mean of *log N* and the mean of *-log L*. We know the published alpha and beta, and we know the losses. Solve for the mean of *log N*.

# %% tags=["more"]
show_source(scaling.implied_mean_size)

# %% tags=["slide"]
sizes = predict(
    "Eight published lines, two models. Which mean sizes come out?",
    "one for all",
    "one for each test",
    "one for each model",
)

# %% tags=["slide"]
random = np.random.default_rng(0)


def implied(m, t, draws=1000):
    (a, b), L = published[m, t], np.array(table_2(m, t))
    last = 5e-5 * random.uniform(-1, 1, (draws, 5))  # what rounding to four digits may hide
    around = [scaling.implied_mean_size(a + e[0], b + e[1], L + e[2:]) for e in last]
    return scaling.implied_mean_size(a, b, L), min(around), max(around)


found = {t: {m: implied(m, t) for m in MODELS} for t in TASKS}
sizes.reveal("one for each model")
show_figure(
    scaling_plots.mean_sizes(found, float(np.exp(np.mean(np.log(ACTIVE))))),
    "Geometric mean sizes that the published lines imply: about 1.84 billion for the Transformer and 2.01 for the "
    "2-simplicial model in all four tests; bars are what rounding may hide, and they do not touch.",
    caption="results/published.csv (arXiv:2507.02754, Tables 2 and 3)",
)

# %% [markdown]
# Four tests agree to a percent, and the two models differ by nine. If the lines are ordinary least squares in natural logarithms, then the 2-simplicial models were entered with 9% more active parameters. More projections hardly explain that: with 64 query heads on one key head they add 1.5% to the attention of every fourth layer (chapter 11). So the models differ in something else, or the lines were fitted in another way. We cannot tell. Nor would it explain a better exponent: all sizes times 1.09 move beta and leave alpha. The four lines of a model also tell its single sizes, to a few percent:

# %%
for m in MODELS:
    a, b = zip(*(published[m, t] for t in TASKS), strict=True)
    N = scaling.implied_sizes([table_2(m, t) for t in TASKS], a, b)
    print(f"{m:12s}", ", ".join(f"{n / 1e9:.2f}B" for n in N))

# %% [markdown]
# What would 9% more parameters buy a plain Transformer, at its own slope? Beside it what the 2-simplicial model of the middle size gained.

# %%
for t in TASKS:
    bought = 1 - 1.09 ** -published["Transformer", t][0]
    plain, triple = table_2("Transformer", t)[1], table_2("2-simplicial", t)[1]
    print(f"{t:9s} bought by size: {bought:.2%}   gained at 2B: {1 - triple / plain:.2%}")

# %% [markdown]
# About the same. How sure can one be? The arithmetic is safe: rounding cannot move 1.84 to 2.01. Two things are not. The fits may not be ordinary least squares. And nobody but the authors knows what N counts. This is an inference of this course; the paper does not say it. It takes nothing from the losses; and at 3.5 billion two of the four gains are larger than this, two smaller.

# %% [markdown] tags=["slide"]
# ## What an offset does
#
# Text cannot be predicted perfectly. A loss has a floor *E*, and
#
# $$L = E + e^{-\beta} N^{-\alpha}$$
#
# is what others fit (Hoffmann et al. 2022). The paper leaves *E* out. Suppose that the truth has one, and fit a straight line.

# %% tags=["more"]
floor = predict(
    "Truth: alpha = 0.3 with a floor. A straight line finds an exponent that is",
    "too small",
    "right",
    "too large",
)

# %%
N = np.geomspace(1e5, 1e7, 5)
for E in (0.0, 0.9, 1.0):
    L = scaling.PowerLaw(0.3, math.log(1 / 40), E, 0, 1, 5).loss(N)
    line, bent = scaling.straight(N, L), scaling.with_offset(N, L)
    print(
        f"E = {E}: straight {line.alpha:.3f} (R^2 {line.r2:.3f}), with an offset {bent.alpha:.3f}"
    )
floor.reveal("too small")

# %% [markdown]
# Compare the last two rows. Both models have the exponent 0.3, and one has a lower floor. The straight line reports a better exponent, by 7%. A lower floor is worth having. But it is another claim. The gap stays 0.1 at every size, and above their floors both losses fall at the same rate. The straight line calls that gap an exponent.
#
# So fit the floor, too? Move the sliders. With three sizes the curve can pass through all three points, and nothing is left to say whether it is right.

# %% tags=["slide"]
offset_explorer()

# %% [markdown]
# Two habits follow. Fit both, and claim only what both say. And look at residuals along N: a line through a curve misses in a pattern, above, below, above.

# %% [markdown] tags=["slide"]
# ## Seeds
#
# The paper reports no seeds. Where there are some, the bootstrap uses them: draw seeds anew within each size, with replacement, fit, and repeat. Five sizes, three seeds, a spread of 1%:

# %% tags=["more"]
random = np.random.default_rng(1)
truth = scaling.PowerLaw(0.13, -1.8, 0.0, 0, 1, 5)
runs = {n: truth.loss(n) * np.exp(0.01 * random.standard_normal(3)) for n in N}
low, high = scaling.interval(scaling.bootstrap(runs))
print(f"alpha between {low:.3f} and {high:.3f}; truth 0.13")

# %% [markdown]
# It is a narrow statement. It knows how seeds scatter. It knows nothing of sizes that were not run, of a learning rate that fits one size better than another, nor of a law that bends.

# %% [markdown] tags=["slide"]
# ## A small grid of our own
#
# Six widths for Match3 and five for bytes of Python, both models, equal parameters at each size, a learning rate of its own for each, three seeds: part (c) of the [plan](../results/plan.md). A difference of exponents counts only if its interval leaves out 0 in both fits.

# %% tags=["more"]
FITS = {"straight": scaling.straight, "with an offset": scaling.with_offset}
for task in experiments.SIZES:
    grid = experiments.grid(task)
    if not all(grid.values()):
        print(f"{task}: not recorded yet")
        continue
    laws = {kind: {f: fit(*scaling.means(grid[kind])) for f, fit in FITS.items()} for kind in grid}
    show_figure(
        scaling_plots.grid(grid, laws),
        f"Held-out loss over parameters for {task}, both models, all seeds, with a straight and a bent fit; below, what each misses.",
        caption=f"{task}: results/sizes.csv",
    )

# %%
for task in experiments.SIZES:
    grid = experiments.grid(task)
    for name, fit in FITS.items() if all(grid.values()) else ():
        slopes = {kind: scaling.bootstrap(runs, fit) for kind, runs in grid.items()}
        told = {k: "{:.3f} to {:.3f}".format(*scaling.interval(s)) for k, s in slopes.items()}
        low, high = scaling.interval(slopes["2-simplicial"] - slopes["dot product"])
        print(f"{task}, {name}: {told}; difference {low:+.3f} to {high:+.3f}")

# %% [markdown]
# ## Quiz

# %%
quiz("13")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - Two points make a slope, three make a slope with one leftover. Student's factor for one leftover is 12.7.
# - R² of a trend is large. Show residuals and intervals.
# - A fitted line passes through its mean point.
# - A floor left out looks like a smaller exponent, and a lower floor like a larger one.
# - More active parameters, a lower floor and a better exponent are three claims.
#
# **Now do:** `simplex-lab start 13` copies [exercise 13](../exercises/13_scaling_laws.ipynb) to your `work/` folder.
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), section 8; Hoffmann et al. 2022, [arXiv:2203.15556](https://arxiv.org/abs/2203.15556), and Besiroglu et al. 2024,
# [arXiv:2404.10102](https://arxiv.org/abs/2404.10102), who fit its third method anew; Kaplan et al. 2020, [arXiv:2001.08361](https://arxiv.org/abs/2001.08361).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
