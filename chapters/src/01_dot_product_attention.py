# %% [markdown] tags=["slide"]
# # 01 Dot-product attention
#
# After this chapter you can
#
# - write attention that is stable, masked and multi-headed, and say why each of these three is needed,
# - compute a row of weights by hand for three tokens,
# - say what the S x S matrix costs, and what a window changes.
#
# You may have written this layer before. Read on anyway: each piece returns in chapter 03 with one more index.

# %%
import torch

from simplex_lab import plots, reference, windows
from simplex_lab.explorers import weights_explorer
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown] tags=["slide"]
# ## One picture
#
# Six tokens. Row *i* shows how query *i* spreads one unit of weight over the keys it sees. Everything in this chapter is a part of this
# picture: where the numbers come from, why rows sum to 1, why a corner is empty, and why there are 36 cells for 6 tokens.

# %% tags=["more"]
gen = torch.Generator().manual_seed(5)
q6, k6 = torch.randn(6, 8, generator=gen), torch.randn(6, 8, generator=gen)
P6 = (1.5 * q6 @ k6.T * 8**-0.5).masked_fill(~windows.visible(6), -torch.inf).softmax(-1)
show_figure(
    plots.weight_matrix(P6, row=4, tokens=["the", "cat", "that", "we", "fed", "naps"]),
    "Heatmap of causal attention weights for six tokens; the upper right corner is zero. Query 4 is framed and shown as bars that sum to 1.",
)

# %% [markdown] tags=["slide"]
# ## Three tokens by hand
#
# Each token brings three vectors: a query *q*, a key *k* and a value *v*. Here S = 3 tokens, D = 2 channels.

# %%
q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
k = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
v = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])

# %% [markdown]
# The logit of the pair (i, j) is the dot product of query *i* and key *j*, scaled:
#
# $$A_{ij} = \frac{1}{\sqrt{D}} \sum_d q_{id}\, k_{jd}$$
#
# It says how well what *i* looks for fits what *j* offers. Shapes: `[S, D]` and `[S, D]` give `[S, S]`.

# %% tags=["more"]
shape = predict(
    "q is [3, 2] and k is [3, 2]. What shape does q @ k.T have?", "[3, 2]", "[2, 2]", "[3, 3]"
)

# %%
A = q @ k.T * q.shape[-1] ** -0.5
shape.reveal(str(list(A.shape)))
print(A)

# %% [markdown]
# Check one by hand: query 2 is (1, 1), key 1 is (0, 2). The dot product is 1·0 + 1·2 = 2, over √2 that is 1.414. Row 2, column 1.
#
# The softmax turns each row into weights: positive, sum 1.
#
# $$P_{ij} = \frac{e^{A_{ij}}}{\sum_{j'} e^{A_{ij'}}} \qquad o_i = \sum_j P_{ij}\, v_j$$
#
# Each output is a weighted mean of values. Shapes: `[S, S]` and `[S, D]` give `[S, D]`.

# %%
P = A.softmax(-1)
print("weights\n", P)
print("rows sum to", P.sum(-1))
print("output\n", P @ v)

# %% [markdown]
# Query 0 is (1, 0). It fits keys 0 and 2 equally well, and key 1 not at all. So its output is pulled towards the mean of v0 = (10, 0)
# and v2 = (5, 5), and is still a little drawn to v1: a softmax never gives exactly zero to a finite logit.

# %% [markdown] tags=["slide"]
# ## Why divide by √D
#
# A dot product of D random numbers is a sum of D terms, so its spread grows like √D. What does that do to a softmax over 64 keys?

# %% tags=["more"]
gen = torch.Generator().manual_seed(0)
print("   D   spread   spread/sqrt(D)   largest weight: unscaled   scaled")
for D in (4, 64, 1024):
    queries, keys = torch.randn(500, D, generator=gen), torch.randn(64, D, generator=gen)
    raw = queries @ keys.T
    top = [x.softmax(-1).amax(-1).median().item() for x in (raw, raw * D**-0.5)]
    print(
        f"{D:4d}   {raw.std().item():6.1f}   {raw.std().item() * D**-0.5:14.2f}   {top[0]:24.2f}   {top[1]:6.2f}"
    )

# %% [markdown]
# Without the scale, a head with 1024 channels picks one key before it has learnt anything. With it, every head starts out undecided, whatever its size.

# %% [markdown] tags=["slide"]
# ## A softmax that survives
#
# The formula has a trap. In fp32, exp(89) is already infinite. Try the formula as it is written on the logits 0, 500 and 1000:

# %%
logits = torch.tensor([0.0, 500.0, 1000.0])
naive = logits.exp() / logits.exp().sum()
shifted = (logits - logits.max()).exp() / (logits - logits.max()).exp().sum()
print("naive  ", naive)
print("shifted", shifted)

# %% tags=["more"]
show_figure(
    plots.softmax_overflow(logits, naive, shifted),
    "The naive softmax gives nan for the logits 500 and 1000. Subtracting the maximum first gives weights 0, 0 and 1.",
)

# %% [markdown]
# Infinity divided by infinity is `nan`, and one `nan` in a row spoils every number computed from it.
#
# Subtract the row's maximum first. The weights do not change, because the factor $e^{-m}$ cancels between numerator and denominator. Now the
# largest exponent is 0, and nothing can overflow. Every softmax you write from here on does this; in chapter 06 the maximum will have to be
# found while the row is still being read.

# %% [markdown] tags=["slide"]
# ## No look into the future
#
# A language model must not see the tokens it is asked to predict: query *i* may use keys j ≤ i only. A tempting way is to multiply the
# hidden logits by zero:

# %%
see = windows.visible(3)
print(see.int())
wrong = (A * see).softmax(-1)
print("hidden logits set to 0\n", wrong)

# %% [markdown]
# Query 0 still gives weight to keys 1 and 2. A logit of 0 is not "nothing": e⁰ = 1, a vote like any other. What gives a weight of exactly
# zero is a logit of minus infinity. So **select, don't multiply**:

# %%
right = A.masked_fill(~see, -torch.inf).softmax(-1)
print(right)

# %% [markdown]
# Row 0 sees one key and gives it everything. A row that sees *no* key at all would be -inf everywhere, and its softmax `nan`: that is why
# every window counts the query's own position.
#
# ### Windows
#
# With a window `w`, query *i* sees `i - w < j <= i`: itself and the `w - 1` tokens before. This one function defines it for the whole
# course:

# %% tags=["more"]
show_source(windows.visible)

# %% [markdown]
# Turn the knobs. "Logits times" multiplies all logits: at 0 every visible key weighs the same, at 8 the row picks its favourite. The rows sum
# to 1 throughout.

# %% tags=["slide"]
weights_explorer()

# %% [markdown] tags=["slide"]
# ## Heads
#
# One row of weights can look at one thing at a time. So a layer runs H heads side by side, each with D channels of its own. Our
# layout is `[B, S, H, D]`: batch, sequence, head, channel.
#
# Keys and values may have fewer heads than queries: Hkv divides H, and query head `h` reads key/value head `h // (H // Hkv)`. This is
# grouped-query attention (GQA; Ainslie et al. 2023). The kernels of chapter 08 work on all query heads of one key head together.

# %% tags=["more"]
owner = predict(
    "H = 4 query heads share Hkv = 2 key heads. Which key heads do query heads 0, 1, 2, 3 read?",
    "0 1 0 1",
    "0 0 1 1",
    "0 1 2 3",
)

# %%
H, Hkv = 4, 2
owner.reveal(" ".join(str(h // (H // Hkv)) for h in range(H)))
names = torch.arange(Hkv)
print(
    "repeat_interleave",
    names.repeat_interleave(H // Hkv).tolist(),
    " repeat",
    names.repeat(H // Hkv).tolist(),
)

# %% [markdown]
# `repeat` gives the other order, with the right shape and without an error. Exercise 01.4 knows this bug by name.
#
# The library's layer, whole. `_share` is that `repeat_interleave`; `lse2` is the base-2 logarithm of the softmax's denominator, which the
# backward kernels will want:

# %%
show_source(reference.dot_product)

# %%
gen = torch.Generator().manual_seed(1)
q4 = torch.randn(1, 16, 4, 8, generator=gen, dtype=torch.float64)
k2, v2 = torch.randn(2, 1, 16, 2, 8, generator=gen, dtype=torch.float64)
ours = reference.dot_product(q4, k2, v2).o
torchs = torch.nn.functional.scaled_dot_product_attention(
    *(x.transpose(1, 2) for x in (q4, k2, v2)), is_causal=True, enable_gqa=True
).transpose(1, 2)
print(
    "largest difference to PyTorch's own layer is below 1e-12:",
    bool((ours - torchs).abs().max() < 1e-12),
)

# %% [markdown] tags=["slide"]
# ## What the matrix costs
#
# Every query scores every key: S² numbers a head. Twice the context, four times the matrix. How far does that go?

# %% tags=["more"]
room = predict(
    "8 heads, fp32, S = 32,768: how much memory do the logits of one sequence take?",
    "34 MB",
    "1.1 GB",
    "34 GB",
)

# %% tags=["slide"]
bytes_32k = windows.logits_bytes(32768, 8, order=2)
room.reveal(f"{bytes_32k / 1e9:.0f} GB")
lengths = [128, 512, 2048, 8192, 32768]
rows = {"dot product, S x S": [windows.logits_bytes(s, 8, order=2) for s in lengths]}
show_figure(
    plots.logits_memory(lengths, rows, {"a laptop with 16 GB": 16e9}),
    f"Memory of the S x S logits of 8 heads in fp32 against sequence length on log axes: a straight line that reaches {bytes_32k / 1e9:.0f} GB at 32k.",
)

# %% [markdown]
# And that is one layer of one sequence. Two ways out:
#
# - **Never store the matrix.** Compute it in tiles and throw each tile away: FlashAttention (Dao et al. 2022). Chapters 06 to 08 do it for pairs (j, k).
# - **See less.** A window of `w` keys leaves about `S · w` scores.

# %%
S = 8192
full, window = windows.count_pairs(S), windows.count_pairs(S, 512)
print(f"causal, all keys:     {full:>12,} scores a head")
print(f"causal, window 512:   {window:>12,} scores a head, {full / window:.1f} times fewer")

# %% [markdown]
# Keep these two in mind. With one more index, S² becomes S³, and both ways out turn from a convenience into a necessity.

# %% [markdown]
# ## Quiz

# %%
quiz("01")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - Logits, softmax over keys, weighted mean of values: `[S, D] -> [S, S] -> [S, D]`.
# - Divide by √D, subtract the row's maximum, hide with -inf **before** the softmax.
# - Query head `h` reads key head `h // (H // Hkv)`.
# - The matrix has S² entries a head; tiles avoid storing it, windows avoid computing it.
#
# **Now do:** `simplex-lab start 01` copies [exercise 01](../exercises/01_dot_product_attention.ipynb) to your `work/` folder: five functions, a
# check for each. **Next:** [02 What pairs cannot see](02_what_pairs_cannot_see.ipynb).
#
# **Further reading:** Vaswani et al. 2017, *Attention Is All You Need*; Ainslie et al. 2023, *GQA*; Dao et al. 2022, *FlashAttention*.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
