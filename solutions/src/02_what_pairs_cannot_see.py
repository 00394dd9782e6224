# %% [markdown]
# # Exercise 02: what pairs cannot see
#
# Labels, a formula, a prediction and a broken function. They belong to [chapter 02](../chapters/02_what_pairs_cannot_see.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 02` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it. A check that fails says what it saw, names the mistake if it knows it, and has three hints.
# <!-- /exercise -->
# <!-- solution -->
# These are the answers, with the reason for each, common mistakes, and what a pass does not prove. Try the exercise first.
# <!-- /solution -->

# %% [markdown]
# ## Set-up
#
# Run this cell first.

# %%
import itertools
import math

import torch

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 02.1 -->


# %%
def match3(x, modulus):
    """The Match3 label of every position."""
    ### BEGIN SOLUTION
    x = x.tolist()
    found = [
        any((x[i] + x[j] + x[k]) % modulus == 0 for j, k in itertools.combinations(range(i), 2))
        for i in range(len(x))
    ]
    return torch.tensor(found).long()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("02.1", match3)

# %% [markdown] tags=["solution"]
# **Why.** `combinations(range(i), 2)` are the pairs j < k < i: earlier, and two different positions. `any` of no pair is False, so positions 0 and 1 get 0.
#
# **Common mistakes.** One token used twice; the query as its own partner; partners from the future; "is equal to M" instead of "is a multiple".
#
# **What a pass does not prove.** That it is fast. The label of one sequence takes about n³/6 sums, which is the cost that this course is about.

# %% [markdown]
# <!-- card 02.2 -->


# %%
def coefficients(order):
    """Signs of the products in cos(t_1 + ... + t_order)."""
    ### BEGIN SOLUTION
    signs = []
    for which in itertools.product((0, 1), repeat=order):
        sines = sum(which)
        signs.append(0.0 if sines % 2 else (-1.0) ** (sines // 2))
    return torch.tensor(signs, dtype=torch.float64).view((2,) * order)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("02.2", coefficients)

# %% [markdown] tags=["solution"]
# **Why.** The cosine of a sum is the real part of a product of $\cos t + i \sin t$. Each sine brings a factor *i*, so a product with an odd number of sines is imaginary and drops
# out, and every two make a minus. For order 3 four products remain: ccc, css, scs, ssc. Each is one channel of a trilinear form.
#
# **Common mistakes.** The expansion of the sine. No minus, or a minus for four sines.
#
# **What a pass does not prove.** That a head can use it: chapter 04 turns these four channels into one that solves Match3.

# %% [markdown]
# <!-- card 02.3 -->


# %%
def best_vote(span):
    """Share of the patterns on which the best vote agrees with the parity."""
    ### BEGIN SOLUTION
    groups = [math.comb(span, ones) for ones in range(span + 1)]
    best = 0
    for cut in range(-1, span + 1):
        right = sum(g for ones, g in enumerate(groups) if (ones > cut) == (ones % 2 == 1))
        best = max(best, right, 2**span - right)
    return torch.tensor(best / 2**span, dtype=torch.float64)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("02.3", best_vote)

# %% [markdown] tags=["solution"]
# **Why.** For three bits it is 6 of 8: the groups have 1, 3, 3 and 1 patterns, and one cut gets both groups of three right. That is where the one-headed
# dot-product model of the chapter ended. For more bits the share falls towards one half.
#
# **Common mistakes.** Only one direction. Counting groups instead of patterns.
#
# **What a pass does not prove.** That the model votes. It scored what a vote scores; how it does it would have to be looked at.

# %% [markdown]
# The next function should say where two arrows lead. On a graph whose arrows all have a partner in the other direction it is right.


# %%
def broken(arrows, elements):
    there = torch.zeros(elements, elements)
    for a, b in arrows.tolist():
        there[a, b] = 1
    return (there @ there.T > 0).long()


both_ways = torch.tensor([[0, 1], [1, 0], [1, 2], [2, 1]])
print(broken(both_ways, 3).tolist())

# %% [markdown]
# <!-- card 02.4 -->


# %%
def composed(arrows, elements):
    """1 at (x, y) if there is a z with arrows x to z and z to y."""
    ### BEGIN SOLUTION
    there = torch.zeros(elements, elements)
    for a, b in arrows.tolist():
        there[a, b] = 1
    return (there @ there > 0).long()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("02.4", composed)

# %% [markdown] tags=["solution"]
# **Why.** `there @ there.T` sums over the end of both arrows: x and y point to the same z. In `there @ there` the end of the first arrow is the start of the second.
#
# **Common mistakes.** `there.T @ there`, a common source. All paths instead of those with two arrows.
#
# **What a pass does not prove.** Anything about a model: this is the answer key.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
