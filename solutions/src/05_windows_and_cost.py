# %% [markdown]
# # Exercise 05: windows and cost
#
# Four small functions, none of them longer than a few lines: what a query sees, what that costs, and what a tile wastes. They belong to
# [chapter 05](../chapters/05_windows_and_cost.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 05` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
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
import torch

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 05.1 -->


# %%
def corner(i, w1, w2):
    """The oldest j and the oldest k that query i sees."""
    ### BEGIN SOLUTION
    return torch.tensor([max(i - w1 + 1, 0), max(i - w2 + 1, 0)])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("05.1", corner)

# %% [markdown] tags=["solution"]
# **Why.** The window of w tokens ends at i and counts i itself, so it begins w - 1 earlier. This is `j_lo` and `k_lo` in the kernels.
#
# **Common mistakes.** `i - w1`, one token too many. A negative position, which PyTorch would read from the end of the sequence without complaint.
#
# **What a pass does not prove.** That you also stop at i.

# %% [markdown]
# <!-- card 05.2 -->


# %%
def count(S, w1, w2):
    """Near S * w1 * w2 for long sequences. How near?"""
    ### BEGIN SOLUTION
    return sum(min(i + 1, w1) * min(i + 1, w2) for i in range(S))
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("05.2", count)

# %% [markdown] tags=["solution"]
# **Why.** A query sees a full rectangle of j times k, cut off at the start of the sequence.
#
# **Common mistakes.** `S * w1 * w2`: for S = 512 and w2 = 512 nearly twice too much. Adding the windows.
#
# **What a pass does not prove.** That a kernel executes so few: see 05.4.

# %% [markdown]
# <!-- card 05.3 -->


# %%
def equal_at(w1, w2, per_pair, per_triple):
    """Set the costs of one query equal and solve for n."""
    ### BEGIN SOLUTION
    return 2 * per_triple * w1 * w2 / per_pair
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("05.3", equal_at)

# %% [markdown] tags=["solution"]
# **Why.** `per_pair * n / 2 = per_triple * w1 * w2`. With 4 and 6 and the paper's windows that is 49,152, the 48k of the paper; with 4 and 4 it is 32,768.
#
# **Common mistakes.** Forgetting that a causal query sees half of the context on average.
#
# **What a pass does not prove.** Anything about time: a FLOP of one kernel need not take as long as a FLOP of another.

# %% [markdown]
# Somebody counts what a tile of neighbouring queries executes like this:


# %%
def flattering(positions, w1, w2, block_k):
    return max(positions, w1) * max(positions, w2) / (w1 * w2)


# %% [markdown]
# <!-- card 05.4 -->


# %%
def waste(positions, w1, w2, block_k):
    """Pairs executed for each pair seen."""
    ### BEGIN SOLUTION
    first = positions + w1 - 1
    second = -(-(positions + w2 - 1) // block_k) * block_k
    return first * second / (w1 * w2)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("05.4", waste)

# %% [markdown] tags=["solution"]
# **Why.** The windows of R neighbours are shifted by one each, so together they span R - 1 keys more than one of them. Every row of the tile is computed against
# all of that. `block_k` was not used at all.
#
# **Common mistakes.** `positions + w1`, one too many: with a single position nothing is wasted but the rest of the last tile.
#
# **What a pass does not prove.** That the waste costs time: rows that see nothing of a tile can be skipped together, if all of them are such rows.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
