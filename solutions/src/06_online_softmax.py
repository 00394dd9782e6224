# %% [markdown]
# # Exercise 06: online softmax over pairs
#
# From four scores in one pass to a query that walks over tiles of pairs. The five steps belong to [chapter 06](../chapters/06_online_softmax.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 06` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
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
import math

import torch

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 06.1 -->


# %%
def one_pass(s, v):
    """A loop over the scores; each is looked at once."""
    ### BEGIN SOLUTION
    m, l, acc = s.new_tensor(-1e30), s.new_zeros(()), torch.zeros_like(v[0])
    for score, value in zip(s, v, strict=True):
        m_new = torch.maximum(m, score)
        alpha, p = torch.exp2(m - m_new), torch.exp2(score - m_new)
        m, l, acc = m_new, l * alpha + p, acc * alpha + p * value
    return acc / l
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("06.1", one_pass)

# %% [markdown] tags=["solution"]
# **Why.** The three numbers always describe the scores seen so far, measured against the largest of them. A new maximum changes the unit, so everything
# that was measured in the old unit is converted by one factor.
#
# **Common mistakes.** Rescaling l and not acc. Using m before it is updated for the new weight: then a weight may exceed 1. Base e.
#
# **What a pass does not prove.** That you looked at each score once: `(s * math.log(2)).softmax(0) @ v` would pass as well.

# %% [markdown]
# <!-- card 06.2 -->


# %%
def merge(m, l, acc):
    """The output over all tiles, from what each tile brings."""
    ### BEGIN SOLUTION
    alpha = torch.exp2(m - m.max())
    return (alpha[:, None] * acc).sum(0) / (alpha * l).sum()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("06.2", merge)

# %% [markdown] tags=["solution"]
# **Why.** Nothing in the proof needed the tiles to come one after the other. Several programs can each do a part of a row and be merged at the end, which is how
# long caches are split over a whole chip when there is only one query.
#
# **Common mistakes.** Averaging the outputs. Rescaling by `2^m`, which overflows.
#
# **What a pass does not prove.** That the tiles were right.

# %% [markdown]
# <!-- card 06.3 -->


# %%
def rows_loaded(n1, n2, block_k):
    """Predict first, for n1 = 32, n2 = 512 and tiles of 64: nearer to 544 or to 16,384?"""
    ### BEGIN SOLUTION
    tiles = -(-n2 // block_k)
    return n2 + tiles * n1
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("06.3", rows_loaded)

# %% [markdown] tags=["solution"]
# **Why.** A tile of second keys is fetched once and stays. While it stays, all first keys pass by, and the next tile has to see them again.
#
# **Common mistakes.** `n2 // block_k`, which forgets a shorter last tile.
#
# **What a pass does not prove.** Speed. Neighbouring queries share almost all of their keys, so a cache may have them already.

# %% [markdown]
# <!-- card 06.4 -->


# %%
def attend_by_tiles(q, k1, k2, v1, v2, block_k):
    """Scores of one tile at a time; m, l and acc live through all of them."""
    ### BEGIN SOLUTION
    scale_log2 = len(q) ** -0.5 * math.log2(math.e)
    m, l, acc = q.new_tensor(-1e30), q.new_zeros(()), torch.zeros_like(q)
    for k0 in range(0, len(k2), block_k):
        K2, V2 = k2[k0 : k0 + block_k], v2[k0 : k0 + block_k]
        for j in range(len(k1)):
            s2 = K2 @ (q * k1[j]) * scale_log2
            m_new = torch.maximum(m, s2.max())
            alpha, p = torch.exp2(m - m_new), torch.exp2(s2 - m_new)
            m, l, acc = m_new, l * alpha + p.sum(), acc * alpha + (p @ V2) * v1[j]
    return acc / l
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("06.4", attend_by_tiles)

# %% [markdown] tags=["solution"]
# **Why.** `q * k1[j]` turns the trilinear score into a product with a tile, and summing over k before `v1[j]` comes in turns the output into another one.
# Give `q` a second axis for rows, and this is the forward kernel's loop.
#
# **Common mistakes.** Setting m, l and acc to their start values inside the loop over tiles. A last, shorter tile left out. `v1` forgotten.
#
# **What a pass does not prove.** The order of the loops: with j outside the numbers are the same, and no tensor is larger. Nor windows and the diagonal: here the query sees everything. `tiled.forward_program` shows where the mask goes.

# %% [markdown]
# A colleague wrote this walk. On most inputs it agrees with yours. On the example of its card it does not.


# %%
def broken(q, k1, k2, v1, v2, block_k):
    scale_log2 = len(q) ** -0.5 * math.log2(math.e)
    m, l, acc = q.new_tensor(-1e30), q.new_zeros(()), torch.zeros_like(q)
    for k0 in range(0, len(k2), block_k):
        K2, V2 = k2[k0 : k0 + block_k], v2[k0 : k0 + block_k]
        m = torch.maximum(m, (K2 @ (q * k1[0]) * scale_log2).max())
        for j in range(len(k1)):
            s2 = K2 @ (q * k1[j]) * scale_log2
            m_new = torch.maximum(m, s2.max())
            alpha, p = torch.exp2(m - m_new), torch.exp2(s2 - m_new)
            m, l, acc = m_new, l * alpha + p.sum(), acc * alpha + (p @ V2) * v1[j]
    return acc / l


# %% [markdown]
# <!-- card 06.5 -->


# %%
def mended(q, k1, k2, v1, v2, block_k):
    """The walk above, right for all inputs."""
    ### BEGIN SOLUTION
    scale_log2 = len(q) ** -0.5 * math.log2(math.e)
    m, l, acc = q.new_tensor(-1e30), q.new_zeros(()), torch.zeros_like(q)
    for k0 in range(0, len(k2), block_k):
        K2, V2 = k2[k0 : k0 + block_k], v2[k0 : k0 + block_k]
        for j in range(len(k1)):
            s2 = K2 @ (q * k1[j]) * scale_log2
            m_new = torch.maximum(m, s2.max())
            alpha, p = torch.exp2(m - m_new), torch.exp2(s2 - m_new)
            m, l, acc = m_new, l * alpha + p.sum(), acc * alpha + (p @ V2) * v1[j]
    return acc / l
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("06.5", mended)

# %% [markdown] tags=["solution"]
# **Why.** The line in the outer loop raised m and left l and acc as they were. The inner loop then saw no growth, so alpha was 1, and what earlier tiles had
# summed counted too much. The line was meant to help: start a tile with a good guess of its maximum. It may stay if it rescales what it finds.
#
# **Common mistakes.** Testing with one tile, or with inputs whose largest score comes first: there the broken walk is right.
#
# **What a pass does not prove.** That you would have found it in a kernel, where printing is awkward. Chapter 07 shows how to look.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
