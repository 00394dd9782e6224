# %% [markdown] tags=["slide"]
# # 08 The tiled forward kernel
#
# After this chapter you can
#
# - build the 2-simplicial forward kernel in five steps, each checked against the one before,
# - say what each loop holds, loads and masks,
# - read the kernel that this course's library runs.
#
# Chapter 06 had the loops, in PyTorch; chapter 07 had Triton. Here they meet. Rows of a tile are neighbouring query positions in the first four steps, and heads in the last. In the exercises you go the
# other way: one query a program first.

# %%
from simplex_lab.interpreter import prepare

device = prepare()  # before triton is imported

import torch

from simplex_lab import forward_steps as steps
from simplex_lab import plots, program_plots, reference
from simplex_lab.explorers import program_explorer
from simplex_lab.kernel_pictures import show_accesses
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_diff, show_figure, show_source

plots.style()
_ = torch.manual_seed(0)

# %% [markdown] tags=["slide"]
# ## One picture
#
# A program owns queries 12 to 15. Their windows, 4 first keys and 12 second keys, overlap but do not coincide. It visits the rectangle that holds all of them, strip by strip: one *j*, four *k*. Some strips at its corners are seen by nobody, and are visited all the same.
#
# The dark strip is at work, pale ones are to come. Hatched strips need a mask: some query does not see all of them. The outlines are what query 12 (solid) and query 15 (dashed) see.

# %% tags=["more"]
show_figure(
    program_plots.program_walk(24, 12, 4, w1=4, w2=12, block_k=4, step=9),
    "The plane of pairs. Strips of one first key and four second keys cover the windows of queries 12 to 15; "
    "the ninth strip is at work; strips that some query does not see whole are hatched.",
)

# %% [markdown] tags=["slide"]
# ## By hand
#
# Four queries, windows 4 x 12, tiles of 4. Which first keys does the program's inner loop meet? Queries 12 to 15 see j from 9 to 12, ..., from 12 to 15.

# %% tags=["more"]
inner = predict("How many first keys does the inner loop run over?", "4", "7", "16")

# %%
walk = program_plots.steps(24, 12, 4, 4, 12, 4)
first_keys = sorted({j for j, _, _ in walk})
print("first keys", first_keys[0], "to", first_keys[-1])
inner.reveal(str(len(first_keys)))
seen = sum(int(s.sum()) for _, _, s in walk)
print(f"{len(walk)} steps of 4 x 4 pairs, of which {seen} of {16 * len(walk)} are seen")

# %% [markdown]
# Let a program own 1, 2, 4 or 8 positions, and watch the share of pairs that are seen. With one position nothing is wasted but the end of the last tile. So why would a program want more rows? Because a product on tensor cores wants 16 and more of them, and each
# row of keys that is loaded should serve many queries.

# %% tags=["slide"]
program_explorer()

# %% [markdown] tags=["slide"]
# ## Step 1: one tile
#
# Sixteen queries, one first key, up to sixteen second keys, no window. `q * k1` is formed once, then everything is a product of tiles. That is attention as you know it, with `q * k1` for the query and `v1` multiplied in at the end.

# %% tags=["slide"]
show_source(steps.step1_kernel)


# %%
def pairs(n1, n2, Q=32, D=16):
    return [torch.randn(n, D, device=device) for n in (Q, n1, n2, n1, n2)]


def dense(q, k1, k2, v1, v2):
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
    P = A.flatten(1).softmax(1).view_as(A)
    return torch.einsum("ijk,jd,kd->id", P, v1, v2)


x = pairs(1, 11)
print("step 1 equals the formula:", torch.allclose(steps.step1(*x), dense(*x), atol=1e-5))

# %% [markdown]
# `p` is fp32, as all softmax arithmetic is, and the values may be bf16. A product wants both factors in one type, so `p.to(V2.dtype)` rounds the weights before they meet V2. With fp32 values it does nothing; without it the kernel does not compile for bf16.

# %% [markdown] tags=["slide"]
# ## Step 2: tiles of second keys
#
# More second keys than a tile holds. The three running numbers of chapter 06 come in: *m*, *l* and *acc*, one of each for every row. Lines with + are new or have moved into the loop.

# %% tags=["slide"]
show_diff(steps.step1_kernel, steps.step2_kernel)

# %%
x = pairs(1, 40)
print("step 2 equals the formula:", torch.allclose(steps.step2(*x), dense(*x), atol=1e-5))
x = pairs(1, 16)
print(
    "step 2 equals step 1 on one tile:", torch.allclose(steps.step2(*x), steps.step1(*x), atol=1e-6)
)

# %% [markdown] tags=["slide"]
# ## Step 3: the loop over first keys
#
# Two lines move into a loop, and attention over keys becomes attention over pairs. Everything else in the body stays as it is: a pair is just one more score.

# %% tags=["more"]
order = predict(
    "Which loop may be outside, so that each tile of second keys is loaded once?",
    "over j",
    "over k",
    "either",
)

# %%
show_diff(steps.step2_kernel, steps.step3_kernel)

# %%
x = pairs(5, 40)
print("step 3 equals the formula:", torch.allclose(steps.step3(*x), dense(*x), atol=1e-5))
x = pairs(1, 40)
print("step 3 equals step 2 with one first key:", torch.equal(steps.step3(*x), steps.step2(*x)))
order.reveal("over k")

# %% [markdown]
# With k outside, a tile is loaded and all first keys pass by. With j outside, each of the three tiles would be loaded once for each of the five first keys.

# %% [markdown] tags=["slide"]
# ## Step 4: windows and edges
#
# Now a sequence. Query *i* sees `i - w1 < j <= i` and `i - w2 < k <= i`. Two things follow. The loops run over what *some* row of the program sees; and a mask says what *each* row sees. `-1e30` earns its keep here: a row that
# has seen nothing yet has *m* = -1e30, and `m - m_new` is a number, not NaN.

# %%
show_diff(steps.step3_kernel, steps.step4_kernel)


# %%
def sequence(S, *heads, D=16):
    return [
        torch.randn(S, *heads, D, device=device),
        *(torch.randn(S, D, device=device) for _ in range(4)),
    ]


def by_reference(q, k1, k2, v1, v2, w1, w2):
    keys = [x[None, :, None].double() for x in (k1, k2, v1, v2)]
    return reference.two_simplicial(q[None].double(), *keys, w1=w1, w2=w2).o[0].float()


for S, w1, w2 in ((1, 1, 1), (15, 3, 4), (33, 3, 18), (17, 30, 2)):
    x = sequence(S)
    found = by_reference(x[0][:, None], *x[1:], w1, w2)[:, 0]
    right = torch.allclose(steps.step4(*x, w1, w2), found, atol=1e-5)
    print(f"S = {S:2d}, windows {w1} x {w2}: step 4 equals the reference {right}")

# %%
x = sequence(32)
last = torch.allclose(steps.step4(*x, 32, 32)[-1], steps.step3(*x)[-1], atol=1e-5)
print("the last query, which sees everything: step 4 equals step 3", last)

# %% [markdown]
# What does a program load? At S = 20 there are two. With windows 2 x 5, program 1 owns positions 16 to 19: it needs first keys from 15 on and second keys from 12 on. Rows with two numbers are loaded by both programs, which costs time and does no harm: nobody writes them.

# %% tags=["slide"]
x = sequence(20)
show_accesses(lambda: steps.step4(*x, 2, 5), only=("k1", "k2"))

# %% [markdown] tags=["slide"]
# ## Step 5: heads
#
# In the paper's model 64 query heads share one pair of key heads, and all of them see the same pairs. So take heads as rows first, and positions only as far as there is room: a row is a head at a position, `r // HEADS` and `r % HEADS`.
#
# With 16 heads a program owns one position: nothing is masked along *j*, along *k* only what the last tile has too many, and each row of keys that is loaded serves sixteen queries. Positions behind the end and heads that do not exist are rows, too: they see nothing, and
# `tl.where(..., l, 1.0)` spares them a division by 0 before the store leaves them out.

# %%
show_diff(steps.step4_kernel, steps.step5_kernel)

# %% tags=["slide"]
share = predict(
    "S large, windows 4 x 12, tiles of 16, 16 heads. Which share of the computed pairs is seen?",
    "about 20%",
    "75%",
    "100%",
)

# %%
for H in (1, 3, 16):
    x = sequence(20, H)
    right = torch.allclose(steps.step5(*x, 3, 18), by_reference(*x, 3, 18), atol=1e-5)
    print(f"{H:2d} heads: step 5 equals the reference {right}")
one = x[0][:, :1].contiguous()
four, five = steps.step4(one[:, 0], *x[1:], 3, 18), steps.step5(one, *x[1:], 3, 18)
print("step 5 with one head equals step 4:", torch.equal(five[:, 0], four))

# %%
for positions in (16, 4, 1):
    walk = program_plots.steps(200, 100, positions, 4, 12, 16)
    used = sum(int(s.sum()) for _, _, s in walk) / sum(s.size for _, _, s in walk)
    print(
        f"{16 // positions:2d} heads x {positions:2d} positions: {used:.0%} of the pairs computed are seen"
    )
share.reveal(f"{used:.0%}")

# %% [markdown]
# The rest is the empty end of a tile: 12 of 16. With w2 = 512 and tiles of 128 it vanishes.

# %% [markdown] tags=["slide"]
# ## The real kernel
#
# You know its two loops. Here they are as they stand in the library. What is new:
#
# - The function is called twice: first for the tiles that every row sees whole, `MASKED` off, then for the others. `t_lo, t_hi` count tiles; `gap_at, gap` leave out the ones that are done.
# - Rows of first keys are fetched one step ahead (`j_next`).
# - `ONLINE` is the running maximum; without it, a bound (`pivot`) stands in for it, and nothing is rescaled. Chapter 10 measures what that is worth.

# %% [markdown]
# Its helpers:
#
# - `load_tile`, `load_row` and `sees` are step 5's loads and masks with strides. `start` is where a row's document begins (a sequence may hold several, which do not see each other); `biases` are numbers added to keys and values; `turns` and `q_back` serve chapter 04's determinants.

# %%
from simplex_kernels import forward, two_simplicial_attention

show_source(forward._sweep)

# %%
x = sequence(33, 4)
q, *keys = (t[None] if t.dim() == 3 else t[None, :, None] for t in x)
o = two_simplicial_attention(q, *keys, w1=3, w2=18)[0]
print("the library equals step 5:", torch.allclose(o, steps.step5(*x, 3, 18), atol=1e-5))

# %% [markdown]
# ## Quiz

# %%
quiz("08")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - The kernel is attention with `q * k1_j` for the query, in a loop over *j*, inside a loop over tiles of *k*.
# - Loops run over what some row sees; masks say what each row sees; a row that has seen nothing must not make NaN.
# - Rows are heads first, then positions: heads see the same pairs, positions do not.
#
# **Now do:** `simplex-lab start 08` copies [exercise 08](../exercises/08_the_tiled_forward.ipynb) to your `work/` folder.
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), section 7; Dao 2023, *FlashAttention-2*,
# [arXiv:2307.08691](https://arxiv.org/abs/2307.08691).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
