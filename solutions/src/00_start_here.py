# %% [markdown]
# # Exercise 00: start here
#
# Four warm-ups, five lines each, to learn how the checks talk. They belong to [chapter 00](../chapters/00_start_here.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 00` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
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

import torch

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 00.1 -->


# %%
def partners(x, modulus):
    """How many pairs of earlier tokens complete each token to a multiple."""
    ### BEGIN SOLUTION
    x = x.tolist()
    counts = [
        sum((x[i] + x[j] + x[k]) % modulus == 0 for j, k in itertools.combinations(range(i), 2))
        for i in range(len(x))
    ]
    return torch.tensor(counts)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("00.1", partners)

# %% [markdown] tags=["solution"]
# **Why.** `combinations(range(i), 2)` are the pairs j < k < i, each once. The Match3 label is 1 where this count is not 0.
#
# **Common mistakes.** Each pair counted twice; a token paired with itself; the query as its own partner.
#
# **What a pass does not prove.** That you would like to do it for a thousand tokens: that is 166 million triples.

# %% [markdown]
# <!-- card 00.2 -->


# %%
def guess_line(y):
    """Accuracy of the best guess from the position alone."""
    ### BEGIN SOLUTION
    p = y.double().mean(0)
    return torch.maximum(p, 1 - p).mean()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("00.2", guess_line)

# %% [markdown] tags=["solution"]
# **Why.** At each position the better guess is the more frequent label, and it is right with max(p, 1 - p). A model that scores this much may have looked at no
# token at all.
#
# **Common mistakes.** One guess for all positions, which makes every model look better than it is.
#
# **What a pass does not prove.** That a model above the line understood the task: it may know that some tokens have more partners than others.

# %% [markdown]
# <!-- card 00.3 -->


# %%
def scores(S):
    """[pairs, triples] that one causal head scores."""
    ### BEGIN SOLUTION
    return torch.tensor([sum(i + 1 for i in range(S)), sum((i + 1) ** 2 for i in range(S))])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("00.3", scores)

# %% [markdown] tags=["solution"]
# **Why.** Query i sees i + 1 tokens, hence i + 1 values of j and as many of k. For S = 12 these are 78 pairs and 650 triples.
#
# **Common mistakes.** S² and S³, which counts the future. Half the triples: (j, k) and (k, j) are different scores.
#
# **What a pass does not prove.** What a score costs: chapter 05 counts that.

# %% [markdown]
# The next function compares two models. Five seeds each; both models saw the same data in a seed.


# %%
def broken(first, second, margin):
    return (first >= second.min() + margin).sum()


first = torch.tensor([0.96, 0.68, 0.92, 0.81, 0.98])
second = torch.tensor([0.88, 0.87, 0.60, 0.92, 0.90])
print(broken(first, second, margin=0.1))

# %% [markdown]
# <!-- card 00.4 -->


# %%
def wins(first, second, margin):
    """In how many seeds is the first at least margin above the second?"""
    ### BEGIN SOLUTION
    return (first >= second + margin).sum()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("00.4", wins)

# %% [markdown] tags=["solution"]
# **Why.** Both models of a seed saw the same sequences in the same order, so what a seed makes easy or hard it does for both. Comparing seed by seed takes that out.
#
# **Common mistakes.** Against the worst, against the mean, sorted: all of them let a lucky seed stand in for an unlucky one.
#
# **What a pass does not prove.** That five seeds are enough.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
