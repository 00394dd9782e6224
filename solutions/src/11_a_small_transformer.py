# %% [markdown]
# # Exercise 11: a small 2-simplicial transformer
#
# Four pieces of a layer. They belong to [chapter 11](../chapters/11_a_small_transformer.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 11` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it.
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
# <!-- card 11.1 -->


# %%
def attention_weights(width, heads, key_heads, kind):
    """The number of weights of one attention."""
    ### BEGIN SOLUTION
    D, n = width // heads, 2 if kind == "dot" else 4
    return width * D * (heads + n * key_heads) + width * width
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("11.1", attention_weights)

# %% [markdown] tags=["solution"]
# **Why.** q and the output have the width's size whatever the heads; keys and values shrink with their heads. With one key head for 64 query heads, two more projections cost a thirty-second of a matrix.
#
# **Common mistakes.** No output projection. Keys as wide as queries. Three projections for five.
#
# **What a pass does not prove.** That parameters are what a layer costs: its triples cost FLOPs and no weights.

# %% [markdown]
# <!-- card 11.2 -->


# %%
def rope(x):
    """x with its pairs of channels turned by their position."""
    ### BEGIN SOLUTION
    S, D = x.shape
    rates = 10_000.0 ** (-2 * torch.arange(D // 2, dtype=torch.float64) / D)
    angle = torch.arange(S, dtype=torch.float64)[:, None] * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[:, ::2], x[:, 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(1)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("11.2", rope)

# %% [markdown] tags=["solution"]
# **Why.** Two vectors that turn by their own positions have a dot product that depends on the difference of the angles only. Angles are computed in fp64: at position 10,000 an fp32 angle is off by a thousandth.
#
# **Common mistakes.** Halves instead of neighbours. The other direction. Positions from 1, which no dot product notices, and a cache of keys does.
#
# **What a pass does not prove.** That it helps a trilinear layer. It does not: see chapter 04.

# %% [markdown]
# <!-- card 11.3 -->


# %%
def normed_logits(q, k1, k2):
    """Trilinear logits of vectors with a root mean square of 1."""
    ### BEGIN SOLUTION
    q, k1, k2 = (x * torch.rsqrt(x.square().mean(-1, keepdim=True)) for x in (q, k1, k2))
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("11.3", normed_logits)

# %% [markdown] tags=["solution"]
# **Why.** A trilinear logit grows with the third power of its vectors. Normed, it is sqrt(D) times D at the very most, and near 1 for random directions.
#
# **Common mistakes.** The length in place of the root mean square. Norming the product instead of the factors.
#
# **What a pass does not prove.** That training is stable: the norms' gains can grow again, and values are not normed.

# %% [markdown]
# <!-- card 11.4 -->


# %%
def simplicial_layer(x, Wq, Wk1, Wk2, Wv1, Wv2, Wo, H):
    """What a causal 2-simplicial attention adds to the stream."""
    (S, width), D = x.shape, x.shape[1] // H
    ### BEGIN SOLUTION
    q = (x @ Wq.T).view(S, H, D)
    k1, k2, v1, v2 = ((x @ W.T).view(S, -1, D) for W in (Wk1, Wk2, Wv1, Wv2))
    k1, k2, v1, v2 = (t.repeat_interleave(H // t.shape[1], 1) for t in (k1, k2, v1, v2))
    A = torch.einsum("ihd,jhd,khd->hijk", q, k1, k2) * D**-0.5
    n = torch.arange(S)
    seen = n[:, None, None] >= torch.maximum(n[None, :, None], n[None, None, :])
    P = A.masked_fill(~seen, -torch.inf).flatten(2).softmax(-1).view_as(A)
    o = torch.einsum("hijk,jhd,khd->ihd", P, v1, v2)
    return o.reshape(S, width) @ Wo.T
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("11.4", simplicial_layer)

# %% [markdown] tags=["solution"]
# **Why.** Everything around the attention is what any transformer has. Only the number of projections and the joint softmax are new.
#
# **Common mistakes.** Key heads in turn instead of in groups. Channels before heads when splitting. A softmax for each j.
#
# **What a pass does not prove.** That you could train it at length: the cube of weights is written out. The library's layer takes the kernels on a GPU.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
