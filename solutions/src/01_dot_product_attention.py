# %% [markdown]
# # Exercise 01: dot-product attention
#
# Five functions, each on the shoulders of the one before. They belong to
# [chapter 01](../chapters/01_dot_product_attention.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 01` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it. A check that fails says what it saw, names the mistake if it knows it, and has three hints.
# `softmax = checkpoint("01.1", softmax)` keeps your function if it passes, and lends you the course's answer if it does not, so that you can go on.
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
# <!-- card 01.1 -->


# %%
def softmax(x):
    """Weights along the last axis of x [S, N]; each row sums to 1. Do not call torch's softmax."""
    ### BEGIN SOLUTION
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("01.1", softmax)

# %% [markdown] tags=["solution"]
# **Why.** Subtracting a constant from a row multiplies numerator and denominator by the same factor. With the row's maximum, the largest
# exponential is exactly 1: nothing overflows, and the sum is at least 1, so nothing is divided by zero.
#
# **Common mistakes.** The maximum of the whole matrix instead of the row: right in exact arithmetic, 0/0 for rows far below it.
# Forgetting `keepdim=True`: for a square matrix the shapes still fit, and the wrong numbers are subtracted.
#
# **What a pass does not prove.** A row that is -inf everywhere gives nan here, as it does in torch.

# %% [markdown]
# <!-- card 01.2 -->

# %%
softmax = checkpoint("01.1", softmax)


def attention(q, k, v):
    """Every query sees every key. Use your softmax."""
    ### BEGIN SOLUTION
    logits = q @ k.T * q.shape[-1] ** -0.5
    return softmax(logits) @ v
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("01.2", attention)

# %% [markdown] tags=["solution"]
# **Why.** `q @ k.T` has queries down and keys across, so the softmax along the last axis gives each query its own weights, and `weights @ v`
# sums over the keys.
#
# **Common mistakes.** Dividing by D instead of √D; scaling the queries *and* the logits; a softmax over axis 0, which lets keys choose queries.
#
# **What a pass does not prove.** That it is fast or frugal: the S x S matrix is stored. That is fine until chapter 06.

# %% [markdown]
# <!-- card 01.3 -->


# %%
def causal_attention(q, k, v):
    """Query i sees keys j <= i."""
    ### BEGIN SOLUTION
    S = q.shape[0]
    visible = torch.ones(S, S, dtype=torch.bool, device=q.device).tril()
    logits = q @ k.T * q.shape[-1] ** -0.5
    return softmax(logits.masked_fill(~visible, -torch.inf)) @ v
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("01.3", causal_attention)

# %% [markdown] tags=["solution"]
# **Why.** exp(-inf) is exactly 0, and the denominator sums only what is visible. Select with `masked_fill`; adding -inf works here too, but
# with -1e9 instead, a hidden key wins when all visible logits are near -2e9.
#
# **Common mistakes.** Masking after the softmax, so that rows no longer sum to 1; `tril(-1)`, which hides the query from itself and leaves
# row 0 empty.
#
# **What a pass does not prove.** The check changes keys and values of later tokens. A leak through something else, say a mean over the
# sequence computed elsewhere in a model, would not be seen here.

# %% [markdown]
# <!-- card 01.4 -->


# %%
def multi_head(q, k, v):
    """Causal, for H query heads over Hkv key/value heads."""
    ### BEGIN SOLUTION
    S, H, D = q.shape
    k, v = (x.repeat_interleave(H // x.shape[1], dim=1) for x in (k, v))
    logits = torch.einsum("ihd,jhd->hij", q, k) * D**-0.5
    visible = torch.ones(S, S, dtype=torch.bool, device=q.device).tril()
    P = softmax(logits.masked_fill(~visible, -torch.inf))
    return torch.einsum("hij,jhd->ihd", P, v)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("01.4", multi_head)

# %% [markdown] tags=["solution"]
# **Why.** With a copy of its key head, each query head does what 01.3 did. The einsum keeps `h` on both sides, so heads never mix. The mask
# `[S, S]` broadcasts over the leading head axis.
#
# **Common mistakes.** `repeat` in place of `repeat_interleave`: same shape, other heads. Putting `h` last in the logits, so that the softmax runs
# over heads.
#
# **What a pass does not prove.** That copies are needed: a kernel reads the shared head in place (chapter 08).

# %% [markdown]
# <!-- card 01.5 -->


# %%
def window_mask(S, w):
    """True where query i (row) sees key j (column)."""
    ### BEGIN SOLUTION
    i = torch.arange(S)[:, None]
    j = torch.arange(S)[None, :]
    return (j <= i) & (j > i - w)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("01.5", window_mask)

# %% [markdown] tags=["solution"]
# **Why.** A column compared with a row broadcasts to the full matrix. The window holds w keys: i, i - 1, ..., i - w + 1, which is `j > i - w`.
#
# **Common mistakes.** `j >= i - w`, one key too many. `and` instead of `&`: torch refuses it here; in Triton, chapter 07 shows, it is silent.
#
# **What a pass does not prove.** That the mask is used. For long sequences one skips the hidden blocks instead of masking them.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. Next: [chapter 03](../chapters/03_trilinear_attention.ipynb), the same steps with one
# more index.
