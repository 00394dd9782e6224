# %% [markdown]
# # Exercise 03: trilinear attention
#
# From a triple loop to a whole layer in five steps. They belong to [chapter 03](../chapters/03_trilinear_attention.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 03` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it. A check that fails says what it saw, names the mistake if it knows it, and has three hints.
# `joint_softmax = checkpoint("03.2", joint_softmax)` keeps your function if it passes, and lends you the course's answer if it does not, so that you can go on.
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
# <!-- card 03.1 -->


# %%
def fill_logits(q, k1, k2, out):
    """Write every out[i, j, k]. Kernels work like this: they get their output and fill it."""
    ### BEGIN SOLUTION
    S, D = q.shape
    for i in range(S):
        for j in range(S):
            for k in range(S):
                out[i, j, k] = (q[i] * k1[j] * k2[k]).sum() * D**-0.5
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("03.1", fill_logits)

# %% [markdown] tags=["solution"]
# **Why.** The formula, index by index. The output is given and starts as NaN, so an entry that you forget stays visible, and the known
# numbers laid around it show a write outside. From chapter 07 on, every kernel is checked like this.
#
# **Common mistakes.** `out = torch.einsum(...)` makes a new tensor and leaves the caller's untouched: assign into it, `out[...] = ...`. Loops
# with `k <= j`: (j, k) and (k, j) are different pairs.
#
# **What a pass does not prove.** Speed. Python spends a few microseconds on each entry, and their number grows with S³.

# %% [markdown]
# <!-- card 03.2 -->


# %%
def joint_softmax(logits):
    """Weights over all pairs (j, k) of each query i. torch's softmax is allowed."""
    ### BEGIN SOLUTION
    return logits.flatten(1).softmax(-1).view_as(logits)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("03.2", joint_softmax)

# %% [markdown] tags=["solution"]
# **Why.** A softmax does not know about shapes. Lay the pair (j, k) out as one axis of S² numbers, normalise, and fold it back.
#
# **Common mistakes.** `softmax(-1)` alone gives each *j* its own unit of weight. `softmax((-2, -1))` does not exist in torch. Writing it
# with `exp` and forgetting the maximum over both axes.
#
# **What a pass does not prove.** That you could do it without holding all S² numbers at once. Chapter 06 does.

# %% [markdown]
# <!-- card 03.3 -->


# %%
def combine(weights, v1, v2):
    """o_i = sum over j, k of weights[i, j, k] * v1[j] * v2[k]."""
    ### BEGIN SOLUTION
    return torch.einsum("ijk,jd,kd->id", weights, v1, v2)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("03.3", combine)

# %% [markdown] tags=["solution"]
# **Why.** Indices j and k are missing on the right of the arrow, so they are summed; d stays, so the product is taken channel by channel.
#
# **Common mistakes.** Summing over j and over k separately and multiplying afterwards: the mean of a product is not the product of the means, unless
# j and k are independent. On the card's case both give the same, and only random inputs tell them apart.
#
# **What a pass does not prove.** The order of work. `(weights @ v2)` first, then times v1 and a sum over j, needs one matrix product. PyTorch
# stores its result `[S, S, D]`; a kernel keeps only a tile of it.

# %% [markdown]
# <!-- card 03.4 -->

# %%
joint_softmax = checkpoint("03.2", joint_softmax)
combine = checkpoint("03.3", combine)


def two_simplicial_attention(q, k1, k2, v1, v2, w1, w2):
    """One head, causal, query i sees i - w1 < j <= i and i - w2 < k <= i."""
    ### BEGIN SOLUTION
    S, D = q.shape
    i, t = torch.arange(S, device=q.device)[:, None], torch.arange(S, device=q.device)[None, :]
    see_j = (t <= i) & (t > i - w1)
    see_k = (t <= i) & (t > i - w2)
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * D**-0.5
    A = A.masked_fill(~(see_j[:, :, None] & see_k[:, None, :]), -torch.inf)
    return combine(joint_softmax(A), v1, v2)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("03.4", two_simplicial_attention)

# %% [markdown] tags=["solution"]
# **Why.** A pair is visible when j is inside the first window and k inside the second. Two masks `[S, S]`, one broadcast along k and one along j,
# give the rectangle of the chapter's picture.
#
# **Common mistakes.** The windows swapped: with w1 = w2 nobody notices. Only j masked, so that k reads the future. The softmax per j.
#
# **What a pass does not prove.** That windows save anything: this version computes the whole cube and throws most of it away.

# %% [markdown]
# <!-- card 03.5 -->


# %%
def two_simplicial_heads(q, k1, k2, v1, v2, w1, w2):
    """The same for H query heads over Hkv key/value heads."""
    ### BEGIN SOLUTION
    S, H, D = q.shape
    k1, k2, v1, v2 = (x.repeat_interleave(H // x.shape[1], dim=1) for x in (k1, k2, v1, v2))
    i, t = torch.arange(S, device=q.device)[:, None], torch.arange(S, device=q.device)[None, :]
    see_j = (t <= i) & (t > i - w1)
    see_k = (t <= i) & (t > i - w2)
    A = torch.einsum("ihd,jhd,khd->hijk", q, k1, k2) * D**-0.5
    A = A.masked_fill(~(see_j[:, :, None] & see_k[:, None, :]), -torch.inf)
    P = A.flatten(2).softmax(-1).view_as(A)
    return torch.einsum("hijk,jhd,khd->ihd", P, v1, v2)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("03.5", two_simplicial_heads)

# %% [markdown] tags=["solution"]
# **Why.** One more letter. `h` stands on both sides of every einsum, so heads never mix, and `flatten(2)` keeps (h, i) apart while it joins (j, k).
#
# **Common mistakes.** `flatten(1)` on `[H, S, S, S]` would let one softmax run over all queries of a head. `repeat` instead of `repeat_interleave`.
#
# **What a pass does not prove.** Gradients: they are right because autograd differentiates what you wrote. A kernel has no autograd, and
# chapter 09 writes its backward by hand.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
