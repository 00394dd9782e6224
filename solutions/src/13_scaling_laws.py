# %% [markdown]
# # Exercise 13: scaling laws
#
# Four short functions: a power law fitted, the interval of its exponent, the sizes behind a published line, and a fit with an offset. They belong to
# [chapter 13](../chapters/13_scaling_laws.ipynb). PyTorch is all they need, and every tensor is in float64.
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 13` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it.
# `power_law = checkpoint("13.1", power_law)` keeps your function if it passes, and lends you the course's answer if it does not.
# <!-- /exercise -->
# <!-- solution -->
# These are the answers, with the reason for each, common mistakes, and what a pass does not prove. Try the exercise first.
# <!-- /solution -->

# %% [markdown]
# ## Set-up
#
# Run this cell first.

# %%
import torch

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 13.1 -->


# %%
def power_law(N, L):
    """alpha and beta of the line -log L = alpha log N + beta."""
    ### BEGIN SOLUTION
    x, y = N.log(), -L.log()
    dx = x - x.mean()
    alpha = (dx * y).sum() / dx.square().sum()
    return torch.stack([alpha, y.mean() - alpha * x.mean()])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("13.1", power_law)

# %% [markdown] tags=["solution"]
# **Why.** In logarithms a power law is a line. Its slope is a ratio of two logarithms, so the base cancels; beta is a logarithm, so the base stays in it. The line passes through the mean point, and that
# gives beta. `scaling.straight` does the same in NumPy.
#
# **Common mistakes.** log L without its minus. Base 10. A mean of products, which divides by n, over `var()`, which divides by n - 1.
#
# **What a pass does not prove.** That losses follow a power law. Least squares find an alpha for any losses, and do not say how well it is known.

# %% [markdown]
# <!-- card 13.2 -->

# %%
power_law = checkpoint("13.1", power_law)


def slope_interval(N, L, t):
    """The lower and the upper end of alpha's interval."""
    ### BEGIN SOLUTION
    alpha, beta = power_law(N, L)
    x, y = N.log(), -L.log()
    miss = y - alpha * x - beta
    scatter = miss.square().sum() / (len(N) - 2)
    stderr = (scatter / (x - x.mean()).square().sum()).sqrt()
    return torch.stack([alpha - t * stderr, alpha + t * stderr])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("13.2", slope_interval)

# %% [markdown] tags=["solution"]
# **Why.** Lift one point by e: the slope moves by e times (x - mean x) / sum of squares. Add the variances of all points, and what is left is the scatter over the spread. A line through n points has used up two of them;
# n - 2 residuals' worth of evidence is left. With three points that is one, and t is 12.7.
#
# **Common mistakes.** n or n - 1. The scatter of the points taken for that of the slope. 1.96 for t.
#
# **What a pass does not prove.** That the interval holds what it says. It assumes that points scatter independently and normally about a line that is true. Points that bend away from it break that.

# %% [markdown]
# <!-- card 13.3 -->


# %%
def implied_size(alpha, beta, L):
    """The geometric mean of the sizes behind a published line."""
    ### BEGIN SOLUTION
    return ((-L.log().mean() - beta) / alpha).exp()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("13.3", implied_size)

# %% [markdown] tags=["solution"]
# **Why.** Least squares put beta where the mean point lies on the line, whatever the sizes are. So alpha, beta and the losses fix the mean of log N. For GSM8k in the paper it is 1.84 billion for the Transformer
# and 2.01 billion for the 2-simplicial model; chapter 13 does all eight lines.
#
# **Common mistakes.** The logarithm of the mean for the mean of the logarithms. beta on the wrong side. log N returned for N.
#
# **What a pass does not prove.** That the published line was ordinary least squares in natural logarithms. If it was not, the sizes that come out are nobody's. Nor does it tell the single sizes: only their mean.

# %% [markdown]
# <!-- card 13.4 -->

# %%
power_law = checkpoint("13.1", power_law)


def fit_offset(N, L, offsets):
    """The offset E whose law misses log L least, and alpha of that law."""
    ### BEGIN SOLUTION
    best = torch.inf
    for E in offsets:
        alpha, beta = power_law(N, L - E)
        law = E + torch.exp(-beta - alpha * N.log())
        total = (law.log() - L.log()).square().sum()
        if total < best:
            best, fit = total, torch.stack([E, alpha])
    return fit
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("13.4", fit_offset)

# %% [markdown] tags=["solution"]
# **Why.** With E given, two numbers remain and 13.1 finds them. The fits are then compared by one measure, the same at each E. Residuals of log(L - E) are not: nearer to the smallest loss, a percent of L is a larger share of L - E.
#
# **Common mistakes.** Comparing log(L - E), or R² of it. The straight line's alpha beside the chosen E. A best-so-far that is never updated, so that the last offset wins.
#
# **What a pass does not prove.** That E is what no size removes: noise moves it far. Nor that no better law exists: alpha and beta were fitted to log(L - E), only E to log L. `scaling.with_offset` moves all three at once.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
