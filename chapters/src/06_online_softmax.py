# %% [markdown] tags=["slide"]
# # 06 Online softmax over pairs
#
# After this chapter you can
#
# - compute a softmax in one pass, without ever holding all of its numbers,
# - walk over pairs of keys in tiles, and say what each loop order loads,
# - explain what the forward keeps for the backward, and why that is enough.
#
# Chapter 03 ended with a cube that outgrows a large GPU. Here it disappears. What you read below are the loops of the kernels of chapters 08 and 09, in
# PyTorch; the last section says what the forward kernel does instead of a running maximum.

# %%
import math

import torch

from simplex_lab import plots, reference, tiled, windows
from simplex_lab.explorers import walk_explorer
from simplex_lab.meter import memory_of
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown] tags=["slide"]
# ## One picture
#
# Query 9 sees 4 first keys and 8 second keys: 32 pairs. Instead of scoring all of them at once, walk over them in strips of one *j* and four
# *k*, and keep only a few running numbers.

# %% tags=["more"]
show_figure(
    plots.tile_walk(12, 9, w1=4, w2=8, block_k=4),
    "The window of query 9 on the plane of pairs, cut into eight numbered strips: "
    "down the four first keys with the first four second keys, then down again with the next four.",
)

# %% [markdown] tags=["slide"]
# ## Four numbers by hand
#
# Take four scores and four values. To keep the arithmetic in your head, weights are powers of 2 here: `p = 2^s / sum of 2^s`. (Kernels do the same.
# They fold log2(e) into the scale, and use the exponential to base 2.)

# %%
s = torch.tensor([1.0, 0.0, 3.0, 2.0])
v = torch.tensor([4.0, 0.0, 2.0, 8.0])

# %% [markdown]
# The stable softmax of chapter 01 goes over the scores three times: for the maximum, for the sum, and for the weighted values.

# %%
m = s.max()  # first pass
l = torch.exp2(s - m).sum()  # second pass
o = (torch.exp2(s - m) / l * v).sum()  # third pass
print(f"m = {m:.0f}, l = {l:.3f}, o = {o:.3f}")

# %% [markdown]
# Three passes need all scores three times. With windows of 512 · 32 = 16,384 pairs a query that means to store them, or to compute them anew twice.
#
# **One pass.** Keep three running numbers: the largest score so far *m*, the sum *l* of `2^(s - m)`, and the same sum with the values, *acc*.
# When a larger score arrives, everything summed so far was measured against the wrong maximum. One factor repairs all of it: `2^(m_old - m_new)`.

# %% tags=["more"]
after_two = predict(
    "Scores 1 and 0 are done: m = 1 and l = 1.5. Score 3 arrives. What is l now?",
    "1.375",
    "2.500",
    "1.500",
)

# %%
m, l, acc = float("-inf"), 0.0, 0.0
for score, value in zip(s.tolist(), v.tolist(), strict=True):
    m_new = max(m, score)
    alpha = 2.0 ** (m - m_new)  # what was summed so far shrinks by this
    p = 2.0 ** (score - m_new)
    m, l, acc = m_new, l * alpha + p, acc * alpha + p * value
    print(f"score {score:.0f}: m = {m:.0f}  alpha = {alpha:.3f}  l = {l:.3f}  acc = {acc:.3f}")
    if score == 3:
        after_two.reveal(f"{l:.3f}")
print(f"o = acc / l = {acc / l:.3f}")

# %% [markdown]
# The same output, and each score was read once.

# %% [markdown] tags=["slide"]
# ## Why it is right
#
# Let *T* be the scores seen so far. The claim is that after every step
#
# $$m = \max_{t \in T} s_t, \qquad l = \sum_{t \in T} 2^{s_t - m}, \qquad acc = \sum_{t \in T} 2^{s_t - m}\, v_t$$
#
# For one score it is true: *l* = 1, *acc* = *v*. Suppose it holds for *T*, and new scores *N* arrive; *m'* is the maximum of both together. Then
#
# $$\begin{aligned} l\; 2^{m - m'} + \sum_{t \in N} 2^{s_t - m'} &= \sum_{t \in T} 2^{s_t - m}\, 2^{m - m'} + \sum_{t \in N} 2^{s_t - m'} \\
# &= \sum_{t \in T \cup N} 2^{s_t - m'}\end{aligned}$$
#
# since the exponents add up.

# %% [markdown]
# The same with *v* for *acc*. At the end *acc / l* is the softmax-weighted mean, and no exponent was ever positive: nothing
# can overflow.
#
# The proof did not ask how many scores *N* holds, nor in which order they come. So a step may take a whole tile, and tiles may come in any order:

# %%
gen = torch.Generator().manual_seed(0)
s = 3 * torch.randn(24, generator=gen, dtype=torch.float64)
v = torch.randn(24, generator=gen, dtype=torch.float64)


def by_tiles(order, size):
    m, l, acc = torch.tensor(-1e30, dtype=torch.float64), 0.0, 0.0  # -1e30: below any score
    for part in order.split(size):
        m_new = torch.maximum(m, s[part].max())
        alpha, p = torch.exp2(m - m_new), torch.exp2(s[part] - m_new)
        m, l, acc = m_new, l * alpha + p.sum(), acc * alpha + (p * v[part]).sum()
    return acc / l


# %% tags=["more"]
p = torch.exp2(s - s.max())
exact = (p * v).sum() / p.sum()
for size in (1, 5, 24):
    found = torch.stack([by_tiles(torch.randperm(24, generator=gen), size) for _ in range(50)])
    print(
        f"tiles of {size:2d}, 50 random orders: the same output {torch.allclose(found, exact, rtol=1e-12, atol=0)}"
    )

# %% [markdown] tags=["slide"]
# ## From scores to pairs
#
# In 2-simplicial attention a softmax runs over pairs, and that changes nothing: a pair is just one more score. What changes is where a tile's numbers
# come from. For one first key *j* and a tile of second keys, in base 2,
#
# $$\begin{aligned} s_k &= \frac{\log_2 e}{\sqrt D} \sum_d (q_d\, k1_{jd})\, k2_{kd}, \qquad p_k = 2^{s_k - m} \\
# acc_d &\leftarrow \alpha\, acc_d + \Big(\sum_k p_k\, v2_{kd}\Big)\, v1_{jd}\end{aligned}$$
#
# Multiply *q* by `k1_j` first, and the scores are a plain product with the tile of second keys. Sum over *k* first, and `v1_j` comes in once, at the end.
# Once several rows share the tile, both are matrix products.

# %% [markdown]
# Step through the walk. Watch *m* (black) grow in some steps and stay in others, and the bars when you go from step 5 to 6. The purple line, m + log2 l, is the
# log-sum-exp so far. With large logits a single step decides; with logits times 0 every step counts the same.

# %% tags=["slide"]
walk_explorer()

# %% [markdown] tags=["slide"]
# ## The tiled forward
#
# This is the library's version. A row is one query head at one position. A *program* owns several rows, all sharing one key head: `q` is `[ROWS, D]`, `i` holds
# each row's position, `sees` is the window test. It keeps *acc*, *l* and *m* for each row. The outer loop walks over tiles of second keys, the inner one over first keys.

# %% tags=["slide"]
show_source(tiled.forward_program)

# %% [markdown]
# `LOWEST`, -1e30, stands for minus infinity in *m*. Why not minus infinity itself? A row that sees nothing of the first tile would get
# `-inf - (-inf)`, which is nan.

# %%
gen = torch.Generator().manual_seed(1)
five = [torch.randn(1, 48, h, 16, generator=gen, dtype=torch.float64) for h in (4, 2, 2, 2, 2)]
whole = reference.two_simplicial(*five, w1=7, w2=20)
for block_k in (1, 8, 32):
    o, lse2 = tiled.forward(*five, w1=7, w2=20, block_k=block_k)
    print(
        f"tiles of {block_k:2d}: output equal {torch.allclose(o, whole.o)}, lse2 equal {torch.allclose(lse2, whole.lse2)}"
    )

# %% [markdown]
# Now the memory, beyond the outputs themselves. A program holds one tile whatever S is.

# %% tags=["slide"]
growth = predict(
    "S doubles from 32 to 64. How many times as much does the tiled forward need at its peak, beyond its outputs?",
    "1",
    "2",
    "8",
)

# %%
beyond = {}
for S in (32, 64):
    x = [torch.randn(1, S, 1, 16, generator=gen) for _ in range(5)]
    outputs = 4 * S * (16 + 1)  # bytes of o and lse2
    for way, f in (("the whole cube", reference.two_simplicial), ("by tiles", tiled.forward)):
        beyond[way, S] = memory_of(lambda f=f, x=x: f(*x, w1=8, w2=16)).peak - outputs
for way in ("the whole cube", "by tiles"):
    print(f"{way:15s} S = 32: {beyond[way, 32]:9,d} bytes   S = 64: {beyond[way, 64]:9,d} bytes")
growth.reveal(f"{beyond['by tiles', 64] / beyond['by tiles', 32]:.0f}")

# %% [markdown] tags=["slide"]
# ## Which loop goes outside?
#
# Both orders visit the same pairs and give the same output. They differ in what has to be fetched. A chip has a little fast memory, and a program
# re-reads whatever does not stay in it.
#
# With *k* outside, a tile of second keys and values stays, and the first keys pass by: they are read once for every tile. With *j* outside,
# one first key stays, and all second keys pass by, once for every *j*. Compare with the first picture:

# %% tags=["more"]
show_figure(
    plots.tile_walk(12, 9, w1=4, w2=8, block_k=4, outer="j"),
    "The same eight strips in the other order: the two strips of one first key, then those of the next.",
)

# %% tags=["slide"]
order = predict(
    "w1 = 32, w2 = 512, tiles of 64. How many times as many rows are read with j outside?",
    "2 times",
    "8 times",
    "21 times",
)

# %%
rows = {outer: windows.key_rows_loaded(32, 512, 64, outer=outer) for outer in ("k", "j")}
for outer, n in rows.items():
    kib = n * 2 * 128 * 2 / 1024  # a key and a value of 128 channels, bf16
    print(
        f"{outer} outside: {n:6d} rows of keys, each with its value: {kib:5,.0f} KiB for one query"
    )
order.reveal(f"{rows['j'] / rows['k']:.0f} times")

# %% [markdown]
# So let a tile stay. And along which of the two windows should the tiles lie? The formula does not mind: (k1, v1, w1) and (k2, v2, w2) may trade places.

# %%
for name, first, second in (("the larger window", 32, 512), ("the smaller one", 512, 32)):
    steps = first * -(-second // 64)
    filled = first * second / (steps * 64)
    loaded = windows.key_rows_loaded(first, second, 64, outer="k")
    print(f"tiles along {name:17s}: {steps} steps, {filled:.0%} full, {loaded} rows loaded")

# %% [markdown]
# The rows differ little; the steps do. A step is two matrix products of one width, whether its tile is full or not. So the kernels tile the larger window.
#
# And they share what they load. A program's rows, up to 64, are first of all heads that use the same keys, so that each row of keys serves all of them at once; then neighbouring positions.

# %% [markdown] tags=["slide"]
# ## What the backward needs
#
# The gradient needs the weights again, all of them. Storing them would bring the cube back. But one number a row is enough to compute any of them
# anew:
#
# $$P_{ijk} = 2^{\,s_{ijk} - lse2_i}, \qquad lse2_i = m_i + \log_2 l_i$$

# %%
i, j, k = 40, 36, 25
q, k1, k2, v1, v2 = five
logit = (q[0, i, 0] * k1[0, j, 0] * k2[0, k, 0]).sum() * 16**-0.5
anew = torch.exp2(logit * math.log2(math.e) - whole.lse2[0, 0, i])
A = reference.trilinear_logits(q, k1, k2).masked_fill(~windows.visible_pairs(48, 7, 20), -torch.inf)
stored = A.flatten(3).softmax(-1).view_as(A)[0, 0, i, j, k]
print(f"stored {stored:.6f}, computed anew {anew:.6f}")

# %% [markdown]
# So the forward keeps `o` and `lse2`, and the backward walks over the same tiles once more. The query's side has the forward's loops:

# %% tags=["slide"]
show_source(tiled.backward_query_program)

# %% [markdown]
# `delta` is `sum_d o_d do_d`, one number a row. It stands for the part of the softmax's derivative that runs over all pairs; chapter 09 derives it.
#
# The keys' side turns the loops round. It fixes a block of *j* and a tile of *k* and lets the queries pass, because it wants sums over queries, and
# a program may write only what it owns. Each writes its own part, and the parts are added afterwards.

# %%
show_source(tiled.backward_keys_program)

# %%
do = torch.randn(five[0].shape, generator=gen, dtype=torch.float64)
gradients = tiled.backward(*five, o, lse2, do, w1=7, w2=20)
by_hand = reference.two_simplicial_backward(*five, *whole, do, w1=7, w2=20)
for name, one, other in zip(("q", "k1", "k2", "v1", "v2"), gradients, by_hand, strict=True):
    print(f"d{name:2s} by tiles equals the reference: {torch.allclose(one, other)}")

# %% [markdown] tags=["slide"]
# ## A maximum that nobody computes
#
# Does it have to be the maximum? The proof used *m* only through `2^(s - m)`: any number works that keeps the powers within range. If you know an upper
# bound in advance, nothing ever needs rescaling. By Cauchy-Schwarz
#
# $$|s_{ijk}| \le \frac{\log_2 e}{\sqrt D}\, |q_i * k1_j|\, |k2_k|$$
#
# The forward kernel takes the largest right-hand side over the windows, with some slack for rounding. If that is far above the true maximum, all weights vanish, so the kernel
# looks at *l* at the end and starts again with the running maximum if *l* is tiny. (Where the bound is hopelessly large it does not try.) How far is it from the truth?

# %% tags=["more"]
gen = torch.Generator().manual_seed(2)
q, k1, k2 = (torch.randn(256, 64, generator=gen) for _ in range(3))
last = (q[-1] * k1[-32:]) @ k2.T * 64**-0.5 * math.log2(math.e)
bound = (q[-1] * k1[-32:]).norm(dim=1).max() * k2.norm(dim=1).max() * 64**-0.5 * math.log2(math.e)
print(f"largest logit in base 2: {last.max():.1f}, bound: {bound:.1f}")
print(
    f"so the largest power is about 2^{last.max() - bound:.0f}; fp32 keeps its precision down to 2^-126"
)

# %% [markdown]
# ## Quiz

# %%
quiz("06")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - Running *m*, *l* and *acc*, rescaled by `2^(m_old - m_new)`: a softmax in one pass, in any order, in any tiles.
# - Pairs are just more scores. Multiply q by `k1_j` first, sum over k first: both parts become matrix products.
# - Keep a tile and let the other keys pass by; lay the tiles along the larger window, so that they are full.
# - The forward keeps one number a row, `lse2 = m + log2 l`. Every weight can be computed anew from it.
#
# **Now do:** `simplex-lab start 06` copies [exercise 06](../exercises/06_online_softmax.ipynb) to your `work/` folder.
#
# **Further reading:** Milakov and Gimelshein 2018, *Online normalizer calculation for softmax*, [arXiv:1805.02867](https://arxiv.org/abs/1805.02867);
# Dao et al. 2022, *FlashAttention*, [arXiv:2205.14135](https://arxiv.org/abs/2205.14135).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
