# %% [markdown]
# # Exercise 04: rotations and determinants
#
# Cross products, determinant logits, rotations by position, and a bound to derive. They belong to [chapter 04](../chapters/04_rotations_and_determinants.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 04` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
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
# <!-- card 04.1 -->


# %%
def cross_chunks(a, b):
    """Chunk by chunk, row by row."""
    ### BEGIN SOLUTION
    S, D = a.shape
    return torch.linalg.cross(a.reshape(S, -1, 3), b.reshape(S, -1, 3)).reshape(S, D)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("04.1", cross_chunks)

# %% [markdown] tags=["solution"]
# **Why.** A chunk is three neighbouring channels, so `[S, D]` and `[S, D / 3, 3]` are the same numbers.
#
# **Common mistakes.** b x a, which flips the sign. `view` on an input whose rows are not contiguous.
#
# **What a pass does not prove.** That it is fast: a kernel would turn the channels with a gather instead.

# %% [markdown]
# <!-- card 04.2 -->


# %%
def determinant_logits(q, k1, k2):
    """The sum over chunks of det[q_i, k1_j, k2_k]."""
    ### BEGIN SOLUTION
    S = len(q)
    c = torch.linalg.cross(q.reshape(S, 1, -1, 3), k1.reshape(1, S, -1, 3))
    return torch.einsum("ijd,kd->ijk", c.flatten(2), k2)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("04.2", determinant_logits)

# %% [markdown] tags=["solution"]
# **Why.** `det[q, k1, k2] = (q x k1) . k2`. The cross product is linear in q and in k1, so it takes the place of `q * k1`, and one product with k2 remains.
#
# **Common mistakes.** Adding the two products of Sarrus instead of subtracting them. Two vectors in the wrong order: the sign flips.
#
# **What a pass does not prove.** A head dimension that is no multiple of three: the library lets the rest enter by its plain product.

# %% [markdown]
# <!-- card 04.3 -->


# %%
def rotate(x, rates):
    """Row t is turned by t * rates[l] in chunk l."""
    ### BEGIN SOLUTION
    S, D = x.shape
    angle = torch.arange(S, dtype=x.dtype, device=x.device)[:, None] * rates[None, :]
    a, b, c = x.reshape(S, -1, 3).unbind(-1)
    turned = (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos(), c)
    return torch.stack(turned, -1).reshape(S, D)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("04.3", rotate)

# %% [markdown] tags=["solution"]
# **Why.** Two channels of a chunk turn like those of ordinary RoPE; the third stays and later decides how much the other two count.
#
# **Common mistakes.** One sign of the sine. One rate for all chunks.
#
# **What a pass does not prove.** That your logits become relative: that takes the same rotation for q, k1 and k2, and determinants.

# %% [markdown]
# <!-- card 04.4 -->


# %%
def sharpness(n, M, share):
    """The smallest c that is sharp enough."""
    ### BEGIN SOLUTION
    return (2 * math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M) ** 2)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("04.4", sharpness)

# %% [markdown] tags=["solution"]
# **Why.** The blank pair's logit is c, the best wrong pair's is `c cos(2 pi / M)`, and `1 - cos(2 pi / M) = 2 sin(pi / M)²`. With the share 1/3 the wrong pairs hold at most
# a quarter of blank and wrong pairs together: z < 1/4.
#
# **Common mistakes.** Forgetting that there may be n² wrong pairs. The sine of the whole angle.
#
# **What a pass does not prove.** That floating point can carry so large a c: the chapter measures where it ends.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
