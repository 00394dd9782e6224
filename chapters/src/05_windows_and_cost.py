# %% [markdown] tags=["slide"]
# # 05 Windows and cost
#
# After this chapter you can
#
# - count what a 2-simplicial layer computes, by two conventions, and say which one somebody used,
# - work out from which context on triples in windows take fewer FLOPs than pairs without,
# - compare windows of equal cost, and see why queries that share a tile waste work.

# %%
from simplex_lab import plots, records, windows
from simplex_lab.explorers import budget_explorer
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()

# %% [markdown] tags=["slide"]
# ## One picture
#
# A query looks back over a plane of pairs. Its two windows cut a rectangle out of it, drawn to scale on the left, and the area of the rectangle
# is what it costs. On the right the average query of a dot-product layer that sees all of its past; below, what one head needs over the whole context. Move the
# windows; then move the context.

# %% tags=["more"]
budget_explorer()

# %% [markdown] tags=["slide"]
# ## Six tokens by hand
#
# Count before you compute. Six tokens, w1 = 3, w2 = 2. Query 0 sees itself: 1 pair. Query 1 sees two *j* and two *k*: 4 pairs. From query 2 on the
# windows are full.

# %% tags=["more"]
total = predict("S = 6, w1 = 3, w2 = 2. How many triples in all?", "29", "36", "56")

# %%
seen = [1 * 1, 2 * 2, 3 * 2, 3 * 2, 3 * 2, 3 * 2]  # by hand: first keys times second keys
print("pairs of each query:", seen, " together", sum(seen))
print("the library counts ", windows.count_triples(6, 3, 2))
total.reveal(str(windows.count_triples(6, 3, 2)))

# %% [markdown]
# What is missing from S · w1 · w2 = 36 is the *edge*: the start of the sequence, where windows are not full. It matters for short sequences and hardly for long ones. With the windows 32 x 512 of this course's
# benchmark (which of the two is w1 does not change the count):

# %%
for S in (512, 2048, 8192, 32768):
    share = windows.count_triples(S, 32, 512) / (S * 32 * 512)
    print(f"S = {S:6,d}: {share:.3f} of S w1 w2")

# %% [markdown] tags=["slide"]
# ## Two ways to count FLOPs
#
# For one triple and one channel, the formula `q * k1 * k2` has two products and one sum, and the output `P * v1 * v2` again. Who counts them all, gets 6: two
# products and one sum each. That is the paper's count.

# %% [markdown]
# But nobody computes it like that. `q * k1_j` does not depend on *k*, so it is done once for all of them, and what remains for each *k* is one product and
# one sum: a matrix product. The same for the values. That makes 4, all of it on matrix units (tensor cores, as NVIDIA calls them). What is done once for each
# *j*, 3 FLOPs against 4 w2, is left out. The kernels here use this count.

# %% tags=["more"]
show_source(windows.two_simplicial_flops)

# %% [markdown]
# Neither is wrong. But a rate in FLOP/s means nothing without its count: by the paper's, the same kernel looks 1.5 times as fast.

# %% [markdown] tags=["slide"]
# ## When do triples cost no more than pairs?
#
# Causal dot-product attention over a context *n* (the S of a training sequence): a query sees *n/2* keys on average, at 4 FLOPs a channel each (two for the logit, two for the output). Triples in windows:
# *w1 w2* pairs, at 4 or 6.
#
# $$4 \cdot \frac{n}{2} = c \cdot w_1 w_2 \qquad\Rightarrow\qquad n = \frac{c}{2}\, w_1 w_2$$
#
# The paper's windows are 512 x 32. (When a model generates, the newest query sees all *n*, and the point is at half of that.)

# %% tags=["more"]
even = predict(
    "w1 w2 = 512 · 32. Where do both cost the same, counted as the paper does (c = 6)?",
    "16k",
    "32k",
    "48k",
)

# %%
for convention in ("paper", "matmul"):
    n = windows.equal_context(512, 32, convention=convention)
    print(f"{convention:7s}: {n:6,d} tokens, that is {n // 1024}k")
even.reveal(f"{windows.equal_context(512, 32, convention='paper') // 1024}k")

# %% tags=["slide"]
contexts = [2**e for e in range(10, 18)]
price = {n: windows.two_simplicial_flops(1, 1, convention=n) for n in ("matmul", "paper")}
lines = {
    "dot product, all keys": [2 * n for n in contexts],
    "512 x 32, matrix count": [price["matmul"] * 512 * 32] * len(contexts),
    "512 x 32, paper's count": [price["paper"] * 512 * 32] * len(contexts),
}
crossings = {
    f"{c // 1024}k": c
    for c in (windows.equal_context(512, 32, convention=n) for n in ("matmul", "paper"))
}
show_figure(
    plots.context_cost(contexts, lines, crossings, at=8192),
    "FLOPs of one query against the context. The dot product's line rises and meets the flat lines of the windows at 32k and 48k.",
)

# %% [markdown]
# Read the picture from the left. At 8k the triples cost four times as much as full attention, or six by the paper's count. They
# save nothing there. They buy something, and chapter 12 asks what. All of this counts FLOPs; a FLOP of one kernel need not take as long as a FLOP of another.

# %% [markdown] tags=["slide"]
# ## Which windows?
#
# The count depends on the product *w1 w2* alone, away from the edge. So 512 x 32, 128 x 128 and 1024 x 16 count the same, and see very different things. Time need not
# follow. The paper's Table 1
# gives latencies for seven choices. Before you look: which should be the slowest of the 16k ones?

# %% tags=["more"]
slowest = predict(
    "16k pairs each. Which was slowest in the paper's table?", "1024 x 16", "512 x 32", "128 x 128"
)

# %% tags=["slide"]
table = {
    (r["config"]["w1"], r["config"]["w2"]): r["value"]
    for r in records.read("published.csv")
    if r["name"] == "table 1"
}
show_figure(
    plots.latencies(table),
    "Bars with the latency of seven pairs of windows from 8k to 32k pairs, each close to a dashed mark for one price per pair.",
    caption="Record: results/published.csv, from Table 1 of arXiv:2507.02754.",
)
of_16k = {w: t for w, t in table.items() if w[0] * w[1] == 2**14}
slowest.reveal("{} x {}".format(*max(of_16k, key=of_16k.get)))

# %% [markdown]
# Three things to read from it:
#
# - **It is nearly flat at equal area.** Four shapes at 16k lie within a few percent of each other.
# - **It is nearly proportional.** From 8k to 16k to 32k pairs the time almost doubles each time. What is missing may be a fixed cost, or the edge.
# - **Of two shapes with the same area, the squarer one is often slower:** 128 x 128 against 512 x 32, 512 x 64 against 1024 x 32 (but 512 x 32 and 1024 x 16 tie).
#   In a short sequence the long window loses more pairs at its edge; or the kernel walks further along the smaller window. Without the length nobody can say.

# %% [markdown]
# What it does not tell: length, batch, heads and machine are not stated, each number stands alone without a spread, and there is no dot-product
# attention beside it to compare with.

# %%
spread = max(of_16k.values()) / min(of_16k.values()) - 1
times = {
    pairs: min(t for (a, b), t in table.items() if a * b == pairs * 1024) for pairs in (8, 16, 32)
}
print(f"16k pairs: slowest over fastest {spread:+.0%}")
print(f"8k to 16k: {times[16] / times[8]:.2f} times, 16k to 32k: {times[32] / times[16]:.2f} times")

# %% [markdown] tags=["slide"]
# ## The work that tiles waste
#
# Hardware wants tiles of rows: some 64 queries or heads at once, which share what was loaded. If the rows are neighbouring queries, each sees its own rectangle, and the
# tile has to walk over all of them. The pairs outside a row's own rectangle are computed and thrown away.
#
# How far must the tile walk, if R neighbouring queries each see w1 first and w2 second keys? Draw it for R = 2. If the rows are *heads* that share keys, all of them
# see the same rectangle. (Second keys come in whole tiles, too: 95 of them in tiles of 64 are executed as 128. That is left to exercise 05.4.)

# %% tags=["more"]
waste = predict(
    "64 neighbouring queries, w1 = 32, w2 = 32. Pairs executed for each pair seen?",
    "about 2",
    "about 3",
    "about 9",
)

# %% tags=["slide"]
positions = [1, 4, 16, 64]
rows = {
    f"{a} x {b}": [windows.executed_share(p, a, b) for p in positions]
    for a, b in ((32, 32), (512, 32), (128, 128))
}
waste.reveal(f"about {rows['32 x 32'][-1]:.0f}")
show_figure(
    plots.executed_work(rows, positions),
    "Pairs executed for each pair seen: 1 for a single position; at 64 neighbouring positions "
    + ", ".join(f"{shares[-1]:.1f} for {name}" for name, shares in rows.items()),
)

# %% [markdown]
# The tile walks over R + w1 - 1 first and R + w2 - 1 second keys. This is why the paper gives 64 query heads one key head, and fills a tile with heads: the first point
# of the curves, for every shape.

# %% [markdown] tags=["slide"]
# ## Memory
#
# Windows bound what has to be computed. The naive way ignores that: it fills the whole cube and masks it. Even the windowed logits are large if you store them:

# %% tags=["more"]
for name, count in (
    ("the cube, S = 2048", 2048**3),
    ("windows 512 x 32, S = 2048", windows.count_triples(2048, 512, 32)),
    ("windows 512 x 32, S = 8192", windows.count_triples(8192, 512, 32)),
):
    print(f"{name:27s} {4 * count / 1e9:6.2f} GB a head in fp32")

# %% [markdown]
# Half a gigabyte a head, for one layer. Chapter 06 computes the same output and stores none of it.

# %% [markdown]
# ## Quiz

# %%
quiz("05")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - The cost of a query is the area of its rectangle, `w1 w2`, whatever the context, once the windows are full.
# - 4 FLOPs a triple and channel on matrix units, 6 by the paper's count. Ask which one a rate uses.
# - Windows of 512 x 32 cost as much as full causal attention at 32k tokens (48k by the paper's count), and more below.
# - Neighbouring queries in a tile waste work; heads that share keys waste only the rest of the last tile.
#
# **Now do:** `simplex-lab start 05` copies [exercise 05](../exercises/05_windows_and_cost.ipynb) to your `work/` folder. **Next:** [06 Online softmax over pairs](06_online_softmax.ipynb).
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), sections 6 and 7.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
