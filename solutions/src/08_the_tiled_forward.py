# %% [markdown]
# # Exercise 08: the tiled forward kernel
#
# Five steps to the forward kernel, each a working kernel. They belong to [chapter 08](../chapters/08_the_tiled_forward.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example. You write the kernel; the function below it launches it,
# and stays as it is. `D`, `BLOCK` and `SCALE_LOG2`, which is `D ** -0.5 * log2(e)`, are constants of the set-up cell; so powers are `tl.exp2`.
#
# Work in your own copy: `simplex-lab start 08` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it.
# <!-- /exercise -->
# <!-- solution -->
# These are the answers, with the reason for each, common mistakes, and what a pass does not prove. Try the exercise first.
# <!-- /solution -->

# %% [markdown]
# ## Set-up
#
# Run this cell first. Without a GPU, kernels run in Triton's interpreter.

# %%
from simplex_lab.interpreter import prepare

device = prepare()

import math

import torch
import triton
import triton.language as tl

from simplex_lab.checks import check, checkpoint, hint

D = BLOCK = HEADS = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))

# %% [markdown]
# <!-- card 08.1 -->


# %%
@triton.jit
def one_tile_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, n1, n2):
    """Program i owns query i."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    ### BEGIN SOLUTION
    rows = n[:, None] * D + d[None, :]
    K1 = tl.load(k1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    K2 = tl.load(k2_ptr + rows, mask=(n < n2)[:, None], other=0.0)
    V1 = tl.load(v1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    V2 = tl.load(v2_ptr + rows, mask=(n < n2)[:, None], other=0.0)
    # [BLOCK, D] @ [D, BLOCK] -> [BLOCK, BLOCK], j down and k across
    s2 = tl.dot(q[None, :] * K1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2
    s2 = tl.where((n < n1)[:, None] & (n < n2)[None, :], s2, -float("inf"))
    p = tl.exp2(s2 - tl.max(tl.max(s2, 1), 0))
    # [BLOCK, BLOCK] @ [BLOCK, D] -> [BLOCK, D], the sum over k
    over_k = tl.dot(p.to(V2.dtype), V2, input_precision="ieee")
    tl.store(out_ptr + i * D + d, tl.sum(over_k * V1, 0) / tl.sum(tl.sum(p, 1), 0))
    ### END SOLUTION


def one_tile(q, k1, k2, v1, v2, out):
    one_tile_kernel[(len(q),)](q, k1, k2, v1, v2, out, len(k1), len(k2))


# %%
from simplex_lab.checks import check

check("08.1", one_tile)

# %% [markdown] tags=["solution"]
# **Why.** `q * K1` turns the trilinear form into a product of two tiles. The softmax runs over both of its axes, so maximum and sum are reduced twice, to one number. `V1` comes in after the sum over k.
#
# **Common mistakes.** `tl.max(s2, 1)` and `tl.sum(p, 1)` alone: a softmax over k for each j. Padding that counts: zeros in `K2` make logits of 0, not weights of 0.
#
# **What a pass does not prove.** Anything about more than 256 pairs.

# %% [markdown]
# <!-- card 08.2 -->


# %%
@triton.jit
def online_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, n1, n2):
    """Program i owns query i; first keys j = 0 ... BLOCK - 1 stay, tiles of second keys pass by."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    rows = n[:, None] * D + d[None, :]
    K1 = tl.load(k1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    V1 = tl.load(v1_ptr + rows, mask=(n < n1)[:, None], other=0.0)
    ### BEGIN SOLUTION
    m, l, acc = -1e30, 0.0, tl.zeros([BLOCK, D], tl.float32)
    for k0 in range(0, n2, BLOCK):
        in_k = k0 + n < n2
        K2 = tl.load(k2_ptr + k0 * D + rows, mask=in_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + k0 * D + rows, mask=in_k[:, None], other=0.0)
        s2 = tl.dot(q[None, :] * K1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2
        s2 = tl.where((n < n1)[:, None] & in_k[None, :], s2, -float("inf"))
        m_new = tl.maximum(m, tl.max(tl.max(s2, 1), 0))
        alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new)
        l = l * alpha + tl.sum(tl.sum(p, 1), 0)
        acc = acc * alpha + tl.dot(p.to(V2.dtype), V2, input_precision="ieee")
        m = m_new
    tl.store(out_ptr + i * D + d, tl.sum(acc * V1, 0) / l)
    ### END SOLUTION


def online(q, k1, k2, v1, v2, out):
    online_kernel[(len(q),)](q, k1, k2, v1, v2, out, len(k1), len(k2))


# %%
from simplex_lab.checks import check

check("08.2", online)

# %% [markdown] tags=["solution"]
# **Why.** acc keeps one row for each first key, so `V1` waits until the end. That is possible because the first keys stay; it is also why this kernel cannot have many of them.
#
# **Common mistakes.** acc or l without alpha. `m = m_new` forgotten, or placed before alpha is taken. The last tile's lanes beyond n2 left at a logit of 0.
#
# **What a pass does not prove.** That scalars would do for 16 heads: each of them needs its own m and l. That is 08.5.

# %% [markdown]
# <!-- card 08.3 -->


# %%
@triton.jit
def loop_over_j_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, n1, n2):
    """Program i owns query i."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    m, l, acc = -1e30, 0.0, tl.zeros([D], tl.float32)
    ### BEGIN SOLUTION
    for k0 in range(0, n2, BLOCK):
        in_k = k0 + n < n2
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=in_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=in_k[:, None], other=0.0)
        for j in range(0, n1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :].to(tl.float32) * K2, 1) * SCALE_LOG2
            s2 = tl.where(in_k, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 0))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new)
            l = l * alpha + tl.sum(p, 0)
            acc = acc * alpha + tl.sum(p[:, None] * V2, 0) * v1
            m = m_new
    tl.store(out_ptr + i * D + d, acc / l)
    ### END SOLUTION


def loop_over_j(q, k1, k2, v1, v2, out):
    loop_over_j_kernel[(len(q),)](q, k1, k2, v1, v2, out, len(k1), len(k2))


# %%
from simplex_lab.checks import check

check("08.3", loop_over_j)

# %% [markdown] tags=["solution"]
# **Why.** One row of k1 and v1 at a time, so acc is a single row and any number of first keys will do. The tile of second keys is the larger thing, so it stays.
#
# **Common mistakes.** The loops the other way round: the same numbers, and every tile is loaded again for each j. m, l and acc set back for each tile.
#
# **What a pass does not prove.** That the products run on tensor cores: a vector has no tl.dot. Sixteen heads make it one.

# %% [markdown]
# <!-- card 08.4 -->


# %%
@triton.jit
def windowed_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, w1, w2):
    """Program i owns position i."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q = tl.load(q_ptr + i * D + d)
    m, l, acc = -1e30, 0.0, tl.zeros([D], tl.float32)
    ### BEGIN SOLUTION
    j_lo, k_lo = tl.maximum(i - w1 + 1, 0), tl.maximum(i - w2 + 1, 0)
    for k0 in range(k_lo, i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0)
        for j in range(j_lo, i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :].to(tl.float32) * K2, 1) * SCALE_LOG2
            s2 = tl.where(see_k, s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 0))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new)
            l = l * alpha + tl.sum(p, 0)
            acc = acc * alpha + tl.sum(p[:, None] * V2, 0) * v1
            m = m_new
    tl.store(out_ptr + i * D + d, acc / l)
    ### END SOLUTION


def windowed(q, k1, k2, v1, v2, w1, w2, out):
    windowed_kernel[(len(q),)](q, k1, k2, v1, v2, out, w1, w2)


# %%
from simplex_lab.checks import check

check("08.4", windowed)

# %% [markdown] tags=["solution"]
# **Why.** The windows are loop bounds. Only the last tile has lanes that do not count, and they all lie behind the query, since tiles begin where the window does.
#
# **Common mistakes.** `i - w1` instead of `i - w1 + 1`. Loops that end before i: a query sees its own position. A first position below 0. Lanes behind the query that take part.
#
# **What a pass does not prove.** Speed: a tile that begins anywhere is not aligned in memory. The real kernel shares a tile among positions and masks both ends.

# %% [markdown]
# <!-- card 08.5 -->


# %%
@triton.jit
def packed_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, H, w1, w2):
    """Program i owns position i with all of its heads."""
    i, h, n, d = tl.program_id(0), tl.arange(0, HEADS), tl.arange(0, BLOCK), tl.arange(0, D)
    at_q = (i * H + h)[:, None] * D + d[None, :]
    q = tl.load(q_ptr + at_q, mask=(h < H)[:, None], other=0.0)
    ### BEGIN SOLUTION
    m = tl.full([HEADS], -1e30, tl.float32)
    l, acc = tl.zeros([HEADS], tl.float32), tl.zeros([HEADS, D], tl.float32)
    j_lo, k_lo = tl.maximum(i - w1 + 1, 0), tl.maximum(i - w2 + 1, 0)
    for k0 in range(k_lo, i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0)
        for j in range(j_lo, i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            # [HEADS, D] @ [D, BLOCK] -> [HEADS, BLOCK]
            s2 = tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * SCALE_LOG2
            s2 = tl.where(see_k[None, :], s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            # [HEADS, BLOCK] @ [BLOCK, D] -> [HEADS, D]
            acc = (
                acc * alpha[:, None]
                + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1[None, :]
            )
            m = m_new
    tl.store(out_ptr + at_q, acc / l[:, None], mask=(h < H)[:, None])
    ### END SOLUTION


def packed(q, k1, k2, v1, v2, w1, w2, out):
    S, H, _ = q.shape
    packed_kernel[(S,)](q, k1, k2, v1, v2, out, H, w1, w2)


# %%
from simplex_lab.checks import check

check("08.5", packed)

# %% [markdown] tags=["solution"]
# **Why.** All heads of a group see the same pairs of the same keys, so they differ in their rows of q alone. Sixteen rows turn both sums into products of tiles, and a row of k1 or v1 serves sixteen queries instead of one.
#
# **Common mistakes.** m and l as single numbers for all heads. Offsets that forget H: `i * D` instead of `(i * H + h) * D`. Rows beyond H that are stored.
#
# **What a pass does not prove.** That few heads pay: with H = 1, fifteen of sixteen rows are empty. The real kernel fills them with neighbouring positions.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
