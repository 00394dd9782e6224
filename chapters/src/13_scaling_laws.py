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
from functools import partial

import numpy as np

from simplex_lab import experiments, plots, records, scaling, scaling_plots
from simplex_lab.explorers import offset_explorer
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()

# %% [markdown] tags=["slide"]
# ## One picture
#
# The paper trains Transformers of three sizes, and the same with every fourth layer 2-simplicial. They are mixtures of experts: a token passes only some of the parameters, the *active* ones, and these are counted.
#
# Its Table 2 has the losses on four tests: GSM8k (sums told as a story), MMLU (multiple choice from 57 subjects), MMLU-pro (the same, harder, ten options), MBPP (short Python programs from a sentence). A loss is a negative log-likelihood; with natural logarithms, as we take it to be, its unit is the *nat*. Here they are, with a straight line through each three.

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
    caption="Each panel has losses of its own, and all span the same factor: slopes can be compared. results/published.csv (arXiv:2507.02754, Table 2)",
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
# A residual is what a point misses the line by. The slope's standard error, for *n* points:
#
# $$s^2 = \frac{\sum \text{residual}^2 \,/\, (n - 2)}{\sum (\log N - \text{mean})^2}$$
#
# The scatter of the points over the spread of the sizes. Two numbers make a line, so *n* - 2 residuals' worth is left to tell the scatter: the *degrees of freedom*. With three points it is one.

# %% [markdown]
# If points scatter independently and normally about the true line, the 95% interval is alpha ± *t s*. Were the scatter known, *t* would be 1.96. A single leftover is often small by luck, and then *s* is too small. To be right 95 times in 100 all the same, Student's *t* must be 12.7.

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
# In all four the intervals overlap, but that is not the test. Two intervals can overlap while the *difference* is known well: errors add as squares, not as lengths. So take the interval of the difference itself, with $s^2 = s_1^2 + s_2^2$. Its *t* is Welch's, between 4.3 and 12.7 here, as the scatter lies in both lines or in one.

# %%
for t in TASKS:
    more, low, high = scaling.difference_interval(ACTIVE, *(table_2(m, t) for m in MODELS))
    print(
        f"{t:9s} difference of the slopes {more:+.3f} +- {(high - low) / 2:.3f}: {low:+.3f} to {high:+.3f}"
    )

# %% [markdown]
# Zero lies in all four. That does not say that the exponents are equal. It says that three points do not tell. (Both models answered the same questions; if what is odd about a test moves both alike, the difference is known better than this, and we cannot see by how much.) Nor does the very short purple interval of MMLU-pro say that this slope is known to 3%: three points fell on a line, as they do now and then. Here is what each line misses:

# %%
for t in TASKS:
    for m in MODELS:
        misses = 100 * (np.array(table_2(m, t)) / fits[m, t].loss(ACTIVE) - 1)
        print(f"{t:9s} {m:12s}", "  ".join(f"{miss:+.2f}%" for miss in misses))

# %% [markdown]
# Above, below, above, or the reverse: three points have one leftover, so the three misses are one number in three places. Five lines bow one way and three the other, so no common bend shows.
#
# And R²? Draw three losses at random, sort them, fit:

# %%
random = np.random.default_rng(0)
drawn = np.sort(random.uniform(0.2, 0.4, (4000, 3)))[:, ::-1]
r2 = np.array([scaling.straight(ACTIVE, L).r2 for L in drawn])
for least in (0.9, 0.99):
    print(f"R^2 above {least}: {np.mean(r2 > least):.0%} of the random triples")

# %% [markdown]
# Random losses that fall reach 0.9 more often than not. R² measures how much of the spread the line explains, and the spread is the trend itself. And 0.9998 left the slope open by a sixth. Look at residuals and intervals instead.

# %% [markdown] tags=["slide"]
# ## Which sizes? An inference
#
# A least-squares line passes through the mean point: the mean of *log N* and the mean of *-log L*. Check it on a line of ours:

# %%
law, L = fits["Transformer", "GSM8k"], table_2("Transformer", "GSM8k")
print(f"mean of -log L: {-np.mean(np.log(L)):.4f}")
print(f"the line there: {law.alpha * np.mean(np.log(ACTIVE)) + law.beta:.4f}")

# %% [markdown]
# We know the published alpha and beta, and we know the losses. One thing in that equation is unknown: the mean of *log N*. Its exponential is the *geometric mean* of the sizes, the third root of their product. Exercise 13.3 asks you to solve for it; `scaling.implied_mean_size` does it here.

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
    caption="Bars: what rounding in the tables may hide; the dashed line is where 1, 2 and 3.5 billion would be. results/published.csv (arXiv:2507.02754, Tables 2 and 3)",
)

# %% [markdown]
# Four tests agree to a percent, and the two models differ by nine. If the lines are ordinary least squares in natural logarithms, then the 2-simplicial models were entered with 9% more active parameters. Are they? Table 4 can tell: it has each line's sum of squared residuals, and these depend on the single sizes. Choose three sizes for each model so that its slopes, mean points and residuals come out, twelve published numbers:

# %%
told = {
    m: [records.published("table 4", "residual", model=m, task=t) for t in TASKS] for m in MODELS
}
pinned = {}
for m in MODELS:
    a, b = np.transpose([published[m, t] for t in TASKS])
    L = [table_2(m, t) for t in TASKS]
    for name, extra in ("Tables 2 and 3", None), ("Tables 2 to 4", told[m]):
        pinned[m] = scaling.implied_sizes(L, a, b, extra)
        sizes_B = ", ".join(f"{n / 1e9:.2f}B" for n in pinned[m])
        print(f"{m:12s} {name}: {sizes_B}, +- {scaling.rounding_moves(L, a, b, extra):.1%}")

# %%
for m in MODELS:
    for t, published_residual in zip(TASKS, told[m], strict=True):
        nominal, ours = (scaling.straight(N, table_2(m, t)).residual for N in (ACTIVE, pinned[m]))
        print(
            f"{m:12s} {t:9s} published {published_residual:.1e}, at these sizes {ours:.1e}, at 1, 2, 3.5B {nominal:.1e}"
        )

# %% [markdown]
# With Table 4 rounding hardly moves the sizes. Each of the three is about 9% larger. And the residuals come out, seven to within a tenth and the eighth to a fifth, which is what rounding of the losses allows. At 1, 2 and 3.5 billion they do not: one of them is a tenth of the published one. Twelve numbers from three sizes: that supports the assumption. (Logarithms to another base would have changed all residuals by one factor.)

# %% [markdown]
# Larger by what? More projections hardly explain it: with 64 query heads on one key head they add 1.5% to the attention of every fourth layer (chapter 11). So the models differ in something else. Nor does it explain a better exponent: all sizes times 1.09 move beta and leave alpha. But what would 9% more parameters buy a plain Transformer, at its own slope? Beside it what the 2-simplicial model gained at each size.

# %%
for t in TASKS:
    bought = 1 - 1.09 ** -published["Transformer", t][0]
    gained = [
        1 - triple / plain for plain, triple in zip(*(table_2(m, t) for m in MODELS), strict=True)
    ]
    print(
        f"{t:9s} bought by size: {bought:.2%}   gained at 1, 2, 3.5B:",
        "  ".join(f"{g:+.2%}" for g in gained),
    )

# %% [markdown]
# At 2 billion about the same. At 1 billion nothing was gained, where the size alone should have bought a percent; at 3.5 billion two of the four gains are larger, one equal, one smaller. So 9% is the size of the gains, and not their shape.
#
# How sure can one be? The arithmetic is safe: rounding cannot move 1.84 to 2.01. That the lines are least squares is supported, not known. And nobody but the authors knows what N counts. This is an inference of this course; the paper does not say it. It takes nothing from the losses.

# %% [markdown] tags=["slide"]
# ## What an offset does
#
# Text cannot be predicted perfectly. A loss has an *offset* *E* that no size removes (others call it floor, or irreducible loss), and
#
# $$L = E + e^{-\beta} N^{-\alpha}$$
#
# is what others fit (Hoffmann et al. 2022). The paper leaves *E* out. Suppose that the truth has one, and fit a straight line.

# %% tags=["more"]
bent_law = predict(
    "Truth: alpha = 0.3 with an offset. A straight line finds an exponent that is",
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
bent_law.reveal("too small")

# %% [markdown]
# Compare the last two rows. Both models have the exponent 0.3, and one has a lower offset. The straight line reports a better exponent, by 7%. A lower offset is worth having. But it is another claim. The gap stays 0.1 at every size, and above their offsets both losses fall at the same rate. The straight line calls that gap an exponent.
#
# So fit the offset, too? Move the sliders; the last one draws the seeds anew. With three sizes the curve can pass through all three points, and nothing is left to say whether it is right.

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
print(f"alpha between {low:.4f} and {high:.4f}; truth {truth.alpha:.4f}")

# %% [markdown]
# The interval misses the truth, if not by much. One in twenty should. How many do? Make 3000 such experiments:

# %%
for seeds in (3, 10):
    held = scaling.bootstrap_coverage(truth, N, seeds)
    print(f"{seeds:2d} seeds: {held:.0%} of the 95% intervals hold the truth")

# %% [markdown]
# With three seeds about one in six misses. Three losses drawn from three repeat themselves, so their means scatter less than those of new seeds, by the root of 2/3. Read such an interval as right five times in six, or run more seeds.
#
# And it is a narrow statement. It knows how seeds scatter. It knows nothing of sizes that were not run, of a learning rate that fits one size better than another, nor of a law that bends.

# %% [markdown] tags=["slide"]
# ## A small grid of our own
#
# Six widths for Match3 (modulus 37) and five for bytes of Python, both models, equal parameters at each size, a learning rate of its own for each, three seeds: part (c) of the [plan](../results/plan.md). A difference of exponents counts only if its interval leaves out 0 in both fits.

# %%
FITS = {"straight": scaling.straight, "with an offset": scaling.with_offset}
grids = {task: experiments.grid(task) for task in experiments.SIZES}
laws = {
    task: {m: {f: fit(*scaling.means(runs)) for f, fit in FITS.items()} for m, runs in grid.items()}
    for task, grid in grids.items()
}


def show_grid(task):
    show_figure(
        scaling_plots.grid(grids[task], laws[task]),
        f"Held-out loss over parameters for {task}, both models, all seeds, with a straight and a bent fit; below, what each misses.",
        caption=f"{task}: results/sizes.csv",
    )


# %% tags=["slide"]
show_grid("Match3, modulus 37")

# %% tags=["slide"]
show_grid("code")

# %%
claimed = predict(
    "On which task does that rule grant triples a better exponent?",
    "neither",
    "Match3 only",
    "both",
)

# %%
steeper = {}
for task in grids:
    for name in FITS:
        slopes = {}
        for model, runs in grids[task].items():
            near = partial(scaling.with_offset, near=laws[task][model][name])
            fit = near if name != "straight" else scaling.straight
            slopes[model] = scaling.bootstrap(runs, fit, draws=200)
        low, high = scaling.interval(slopes["2-simplicial"] - slopes["dot product"])
        steeper[task, name] = low > 0
        told = ", ".join(f"{m} {law[name].alpha:.3f}" for m, law in laws[task].items())
        print(f"{task}, {name}: {told}; difference {low:+.3f} to {high:+.3f}")
granted = sum(all(steeper[task, name] for name in FITS) for task in grids)
claimed.reveal(claimed.options[granted])

# %% [markdown]
# On Match3, by the rule, triples have the better exponent: one task that is made of triples, at one number of tokens. "Exponent" is a generous word for it, as both lines miss points by a third and more, one by 127%.
#
# Code is the paper's question in small. The straight line grants triples a better exponent, with an interval that leaves out 0. Now look at the picture. The *smallest* model with triples is worse, by 5%, the largest about equal. Who starts behind and ends level falls more steeply. Both lines miss by 5% and more, bent alike. With an offset the difference is too uncertain to claim.

# %% [markdown]
# A law should forecast. Fit all sizes but the largest, and write down what that one will lose:

# %%
for task, grid in grids.items():
    print(task)
    for model, runs in grid.items():
        N, L = scaling.means(runs)
        for name, fit in FITS.items():
            said = float(fit(N[:-1], L[:-1]).loss(N[-1]))
            told = f"says {said:.3g}, found {L[-1]:.3g}: {said / L[-1] - 1:+.0%}"
            print(f"   {model:12s} {name:15s} {told}")

# %% [markdown]
# On code the straight line promises 11% and 14% less than came, and the one with an offset is off by 2%. On Match3, where the exponent was granted, no forecast comes within 40%. What was granted is a difference between two lines, not two laws.
#
# (All sizes of a task saw the same number of tokens. More tokens would move the offset. And three seeds of the largest 2-simplicial model on Match3 differ by a factor of about thirty.)

# %% [markdown] tags=["slide"]
# ## What would support a better exponent
#
# - Five sizes or more, over a factor of a hundred: *t* falls to 3.2, and a bend shows.
# - Seeds at each size, and a learning rate tuned at each size for each model.
# - Parameters and work counted alike for both, and published with the losses.
# - An interval of the difference that leaves out 0, in the straight fit and in the one with an offset.
# - A forecast: fit the small sizes, write down the loss of a larger one, then train it.
# - The same on models that nobody looked at before, as other tests of the same models are not new models.

# %% [markdown]
# ## Quiz

# %%
quiz("13")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - Three points make a slope with one leftover; Student's factor is then 12.7.
# - R² of a trend is large: show residuals and intervals.
# - A fitted line passes through its mean point.
# - An offset left out looks like a smaller exponent, and a lower offset like a larger one.
# - Overlapping intervals are no test; that of the difference is.
# - More active parameters, a lower offset and a better exponent are three claims.
#
# **Now do:** `simplex-lab start 13` copies [exercise 13](../exercises/13_scaling_laws.ipynb) to your `work/` folder.
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), section 8; Hoffmann et al. 2022, [arXiv:2203.15556](https://arxiv.org/abs/2203.15556), and Besiroglu et al. 2024,
# [arXiv:2404.10102](https://arxiv.org/abs/2404.10102), who fit its third method anew; Kaplan et al. 2020, [arXiv:2001.08361](https://arxiv.org/abs/2001.08361).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
