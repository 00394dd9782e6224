# %% [markdown] tags=["slide"]
# # 09 The backward kernels
#
# After this chapter you can
#
# - derive the five gradients of 2-simplicial attention and find the slips in the paper's equations,
# - say why the backward is several kernels, and what each of them owns,
# - check a kernel's gradients against autograd, against differences, and against themselves.
#
# Chapter 06 said that one number a row is enough to compute any weight anew. Here that number does its work.

# %%
from simplex_lab.interpreter import prepare

device = prepare()  # before triton is imported

import torch
from simplex_kernels import backward_keys, backward_query, two_simplicial_attention

from simplex_lab import plots, program_plots, records, reference
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source
from simplex_lab.windows import visible_pairs

plots.style()
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown] tags=["slide"]
# ## One picture
#
# Under a window of 4, a query sees four first keys, and a first key is seen by four queries. A query's gradient is a sum along its row. A key's gradient is a sum along its column. Programs that walk along rows finish dq; none of them can finish dk1.

# %% tags=["more"]
show_figure(
    program_plots.rows_and_columns(12, 4, query=8, key=3),
    "A band of seen pairs below the diagonal, queries down and first keys across: "
    "the row of query 8 and the column of key 3 are outlined.",
)

# %% [markdown] tags=["slide"]
# ## Two pairs by hand
#
# A query sees two pairs, with weights 3/4 and 1/4. Say the output's gradient, multiplied into each pair's value, gives dP = 1 and 5. How do the logits have to move?
#
# A softmax cannot raise all of its weights. What counts is how a pair compares with the weighted mean of all of them, which is called *delta*:
#
# $$dA = P\,(dP - \delta), \qquad \delta = \sum P\, dP$$

# %% tags=["more"]
moves = predict(
    "P = (3/4, 1/4), dP = (1, 5). What is dA of the first pair?", "0.75", "-0.75", "-1.5"
)

# %%
P, dP = torch.tensor([0.75, 0.25]), torch.tensor([1.0, 5.0])
delta = (P * dP).sum()
dA = P * (dP - delta)
print(f"delta = {delta:.2f}, dA = {dA.tolist()}, their sum {dA.sum():.0f}")
moves.reveal(f"{dA[0]:.2f}")

# %% [markdown]
# The dA of a row sum to zero: what one pair gains, the others lose.

# %% [markdown] tags=["slide"]
# ## From the output back to the inputs
#
# Forward: `A_ijk = scale sum_d q_id k1_jd k2_kd`, `P` its softmax over the pairs (j, k) of a row, `o_id = sum_jk P_ijk v1_jd v2_kd`. The output's gradient is do.
#
# First the values. `o` is linear in each of them, so
#
# $$dv1_{jd} = \sum_{ik} P_{ijk}\, do_{id}\, v2_{kd}, \qquad dv2_{kd} = \sum_{ij} P_{ijk}\, do_{id}\, v1_{jd}$$
#
# Then the weights, and through them the logits:
#
# $$dP_{ijk} = \sum_d do_{id}\, v1_{jd}\, v2_{kd}, \qquad dA_{ijk} = P_{ijk}\,(dP_{ijk} - \delta_i)$$

# %% [markdown]
# And the logits are scale times a trilinear form, so each of q, k1, k2 gets the product of the other two:
#
# $$dq_{id} = scale \sum_{jk} dA_{ijk}\, k1_{jd}\, k2_{kd}$$
#
# $$dk1_{jd} = scale \sum_{ik} dA_{ijk}\, q_{id}\, k2_{kd}, \qquad dk2_{kd} = scale \sum_{ij} dA_{ijk}\, q_{id}\, k1_{jd}$$
#
# Look at the sums: each gradient keeps one of i, j, k and sums over the other two. That decides everything below.

# %% [markdown] tags=["slide"]
# ## delta without the pairs
#
# delta is a sum over all pairs of a row. But the output is such a sum already. Put dP in and exchange the sums:
#
# $$\delta_i = \sum_{jk} P_{ijk} \sum_d do_{id}\, v1_{jd}\, v2_{kd} = \sum_d do_{id}\, o_{id}$$
#
# A dot product of two rows that lie in memory. Check it:

# %% tags=["more"]
gen = torch.Generator().manual_seed(0)
S, D, w1, w2 = 12, 16, 4, 8
q, k1, k2, v1, v2, do = (
    torch.randn(1, S, 1, D, generator=gen, dtype=torch.float64) for _ in range(6)
)
o, lse2 = reference.two_simplicial(q, k1, k2, v1, v2, w1=w1, w2=w2)
A = reference.trilinear_logits(q, k1, k2)[0, 0]
P = torch.exp(A - lse2[0, 0, :, None, None] * torch.tensor(2.0).log())
P = P.where(visible_pairs(S, w1, w2), torch.zeros((), dtype=P.dtype))
dP = torch.einsum("id,jd,kd->ijk", do[0, :, 0], v1[0, :, 0], v2[0, :, 0])
print("the same delta:", torch.allclose((P * dP).sum((1, 2)), (o * do).sum(-1)[0, :, 0]))

# %% [markdown]
# P came from the logits and `lse2` alone, as in the kernels. Nothing of the size of the cube was kept from the forward.

# %% [markdown] tags=["slide"]
# ## dq: the forward's walk once more
#
# dq keeps i and sums over pairs, like the output. So a program owns the same rows and walks over the same tiles; for each tile and j it makes three products instead of two:
#
# - `s2 = (q * k1_j) @ K2^T`, and `P = 2^(s2 - lse2)`, final at once, nothing is ever rescaled,
# - `dP = (do * v1_j) @ V2^T`,
# - `dq += (dA @ K2) * k1_j`, times scale at the end.

# %% [markdown]
# P must be 0 where a row does not see a pair: a lane of zeros has s2 = 0, and 2^(0 - lse2) is not 0 but may be infinite. In the library's loop, below, `pivot` is infinite there. `start`, `gap` and `turns` are those of chapter 08; the caller multiplies by scale.

# %%
show_source(backward_query._sweep)

# %% [markdown] tags=["slide"]
# ## Why not everything at once?
#
# While that program has P and dA of a tile in its registers, it could make the other gradients, too: `dA^T @ (q * k1_j)` for dk2, `q * (dA @ K2)` for dk1 and so on. Six products in all, none of them computed twice. But other programs, for other queries,
# contribute to the same rows of dk1 and dk2. In the picture above: the column of key 3 is crossed by four rows.
#
# So either programs add to memory atomically, or a gradient is computed by somebody who owns it, and s2 and dP are computed again.

# %% tags=["more"]
cost = predict(
    "The library computes s2 and dP twice: 7 products instead of 6. How much time does the kernel with atomics need?",
    "less, as 6 : 7",
    "about the same",
    "twice as much",
)

# %%
rows = [r for r in records.read("kernel_bench.csv") if r["config"]["question"] == "atomics"]
at = {(r["config"]["arm"], r["config"]["w2"], r["metric"]): r["value"] for r in rows}
differ = "gradients that differ between two runs"
for w2_ in (256, 512):
    for arm, name in (("kernels", "the library's kernels"), ("atomics", "one kernel with atomics")):
        ms, share = at[arm, w2_, "backward"], at[arm, w2_, differ]
        print(f"32 x {w2_}  {name:24s} {ms:6.1f} ms  other bits in a second run {share:.3%}")
ratio = at["atomics", 512, "backward"] / at["kernels", 512, "backward"]
cost.reveal(
    "twice as much" if 1.7 < ratio < 2.5 else "about the same" if ratio > 0.9 else "less, as 6 : 7"
)

# %% [markdown]
# Record: `results/kernel_bench.csv`, question *atomics*: bf16, B = 4, S = 2048, 128 heads of 128 channels on one key head, on the card that its rows name; *other bits* is the share of the numbers in the keys' gradients that differ. The kernel with atomics is [`one_pass.py`](../simplex_lab/one_pass.py), the fastest of twelve sizes.

# %% [markdown]
# Twice the time, though it executes one product fewer. (Atomic additions may be one reason, the registers that five gradients need another; the record does not tell them apart.) And its sums are not repeatable: fp32 sums depend on their order, programs come in any order, and after rounding to bf16 one number in two to three thousand has another last bit on the next run. The library gives the same bits every time.

# %% [markdown] tags=["slide"]
# ## The keys' side
#
# With dq done elsewhere, s2, dP and four gradients are left: six products, if each gradient takes one. The library makes four. Fix one first key j and look at what the pair (j, k) is: a key `k1_j * k2_k` and a value `v1_j * v2_k`. For that j, everything is dot-product attention with the tiles
#
# $$KK = k1_j * K2, \qquad VV = v1_j * V2$$
#
# and its backward has four products: s2, dP, `dKK += dA^T @ Q`, `dVV += P^T @ dO`. When all queries have passed by, both keys' gradients follow from the same tile:
#
# $$dk2 \mathrel{+}= dKK * k1_j, \qquad dk1_j = \sum_k dKK * K2$$
#
# $$dv2 \mathrel{+}= dVV * v1_j, \qquad dv1_j = \sum_k dVV * V2$$

# %% [markdown]
# So a program owns a block of first keys and a tile of second keys, and lets the queries pass that see both. Its parts of the four gradients go to scratch memory that nobody else writes, and a small kernel adds the parts in a fixed order. The inner loop, whose `stat` holds a row's lse2 and delta (the folding behind it and the scale are the caller's):

# %%
show_source(backward_keys._walk)

# %% tags=["slide"]
products = predict(
    "The paper's split, (dk1, dv1) and (dk2, dv2, dq), executes how many products?", "6", "8", "9"
)

# %%
splits = {
    "one kernel, atomics": ["s2", "dP", "dq and dk1 from dA @ K2", "dv1", "dk2", "dv2"],
    "the library": ["s2", "dP", "dq", "s2", "dP", "dKK", "dVV"],
    "the paper": ["s2", "dP", "dk1", "dv1", "s2", "dP", "dk2", "dv2", "dq"],
}
for name, made in splits.items():
    print(f"{name:20s} {len(made)} products: {', '.join(made)}")
products.reveal(str(len(splits["the paper"])))

# %% [markdown] tags=["slide"]
# ## What is printed, and what is right
#
# The paper's equations 10 to 16 contain three slips, and none of them survives a comparison with autograd. Exercise 09.4 prints the equations and lets you find them. Do that before you trust anybody's gradients, ours included.

# %% [markdown] tags=["slide"]
# ## Is it right? Three looks
#
# **Against autograd**, in fp32: the kernels, in the interpreter or on your GPU, beside PyTorch's own derivative of the reference.


# %%
def gradients(f, *x):
    leaves = [t.detach().clone().requires_grad_() for t in x]
    return torch.autograd.grad(f(*leaves), leaves, do.to(leaves[0]))


x = [t.float().to(device) for t in (q, k1, k2, v1, v2)]
ours = gradients(lambda *t: two_simplicial_attention(*t, w1=w1, w2=w2), *x)
exact = gradients(lambda *t: reference.two_simplicial(*t, w1=w1, w2=w2).o, *(t.double() for t in x))
for name, g, e in zip(("dq", "dk1", "dk2", "dv1", "dv2"), ours, exact, strict=True):
    print(
        f"{name:3s} largest error below 1e-5 of the largest entry: {bool((g - e).abs().max() < 1e-5 * e.abs().max())}"
    )

# %% [markdown]
# **Against differences.** `gradcheck` moves the inputs a little and compares the change of the output with the gradient (`fast_mode` along one random direction, not each number by itself). That needs fp64, which the interpreter can do and a GPU's kernels here cannot.

# %%
if device == "cpu":
    small = [t[:, :5].clone().requires_grad_() for t in (q, k1, k2, v1, v2)]
    f = lambda *t: two_simplicial_attention(*t, w1=2, w2=3)  # noqa: E731
    print("gradcheck in fp64:", torch.autograd.gradcheck(f, small, fast_mode=True))

# %% [markdown]
# **Against itself**, without any reference. A softmax does not change when all logits of a row grow by one number, so the dA of a row sum to zero. Where does that leave a query that sees one pair only?

# %% tags=["more"]
dq = ours[0]
lonely = predict(
    "Query 0 sees only itself. Its dq is", "zero, up to rounding", "do times v1 times v2", "NaN"
)

# %%
first, later = (dq[0, i].abs().max().item() for i in (0, 5))
print(f"largest entry of dq: query 0 below 1e-6 {first < 1e-6}, query 5 {later:.2f}")
lonely.reveal("zero, up to rounding" if first < 1e-6 < later else "NaN")

# %% [markdown]
# Its softmax is constant. But `dP - delta` is a difference of two equal numbers that are computed in two ways. In bf16, with delta from the rounded output, its rounding error times a key would be left, so for such rows the kernels take delta from the values and do themselves.

# %% [markdown]
# ## Quiz

# %%
quiz("09")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - dA = P (dP - delta), delta = o · do: one number a row replaces a sum over all pairs.
# - Each gradient keeps one index. A program finishes what it owns; for the rest, compute again or add atomically.
# - For a fixed j, pairs are plain keys `k1_j * K2`: the keys' side is the backward of dot-product attention, and gives both keys' gradients.
# - On our record seven products without atomics beat six with them, and they give the same bits every time.
#
# **Now do:** `simplex-lab start 09` copies [exercise 09](../exercises/09_the_backward_kernels.ipynb) to your `work/` folder.
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), section 7 and equations 10 to 16; Dao 2023,
# *FlashAttention-2*, [arXiv:2307.08691](https://arxiv.org/abs/2307.08691), on delta and on recomputing.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
