# %% [markdown] tags=["slide"]
# # 03 Trilinear attention in naive PyTorch
#
# After this chapter you can
#
# - write 2-simplicial attention from its formula, with loops and with einsum,
# - say where the softmax runs, what the value of a pair is, and how two windows bound it,
# - predict the memory that the naive way takes, and measure it.
#
# Nothing here is fast. It is the version that all later ones are checked against.

# %%
import math

import torch

from simplex_lab import plots, reference, windows
from simplex_lab.explorers import cube_explorer
from simplex_lab.meter import memory_of
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown] tags=["slide"]
# ## One picture
#
# In chapter 01, a query had a *row* of weights. Here it has a *plane*: one weight for each pair of a first key *j* (down) and a second
# key *k* (across). The blue frame is what query 9 sees through its two windows; the diamond is its own position.

# %% tags=["more"]
gen = torch.Generator().manual_seed(1)
q12, a12, b12 = (torch.randn(12, 8, generator=gen) for _ in range(3))
cube = (2 * torch.einsum("id,jd,kd->ijk", q12, a12, b12) * 8**-0.5).masked_fill(
    ~windows.visible_pairs(12, 8, 5), -torch.inf
)
P12 = cube.flatten(1).softmax(-1).view(12, 12, 12)
show_figure(
    plots.pair_plane(P12, 9, w1=8, w2=5),
    "The weights of query 9 on the plane of pairs (j, k): a framed rectangle of 8 by 5 visible "
    "pairs, and bars with the sums over k and over j.",
)

# %% [markdown] tags=["slide"]
# ## Three tokens by hand
#
# Each token now brings five vectors: a query *q*, two keys *k1*, *k2* and two values *v1*, *v2*. All five are learnt projections of the
# token. S = 3 tokens, D = 2 channels:

# %%
q = torch.tensor([[1.0, 1.0], [2.0, 0.0], [1.0, 2.0]])
k1 = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
k2 = torch.tensor([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
v1 = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
v2 = torch.tensor([[1.0, 2.0], [0.0, 1.0], [4.0, 1.0]])

# %% [markdown]
# The logit of a triple multiplies three numbers in each channel and adds up the channels (eq. 5 of the paper):
#
# $$A_{ijk} = \frac{1}{\sqrt{D}} \sum_d q_{id}\, k1_{jd}\, k2_{kd}$$
#
# It says how well *j* and *k* **together** fit what *i* looks for. It is linear in each of the three vectors, hence *trilinear*.
#
# Take i = 2, j = 1, k = 0. The vectors are (1, 2), (1, 1) and (2, 1). Channel 0 gives 1·1·2 = 2, channel 1 gives 2·1·1 = 2. Together 4,
# over √2 that is 2.828.

# %% tags=["more"]
size = predict("S = 3. How many logits does one head have?", "6", "9", "27")

# %%
S, D = q.shape
A = torch.empty(S, S, S)
for i in range(S):
    for j in range(S):
        for k in range(S):
            A[i, j, k] = (q[i] * k1[j] * k2[k]).sum() / math.sqrt(D)

size.reveal(str(A.numel()))
print("A[2, 1, 0] =", round(A[2, 1, 0].item(), 3))
print("the plane of query 2, j down and k across\n", A[2])

# %% [markdown]
# Three loops over S tokens, and inside them work for D channels. An einsum says the same in one line: name the axes that go in, name those that
# come out, and whatever is left out is summed.

# %%
A_einsum = torch.einsum("id,jd,kd->ijk", q, k1, k2) / math.sqrt(D)
print("same numbers:", torch.allclose(A, A_einsum))

# %% [markdown] tags=["slide"]
# ## Two edges are not a triangle
#
# Why not simply add two dot products, ⟨q, k1⟩ + ⟨q, k2⟩? That also gives a number for each (i, j, k), and it is cheap. Look at the
# weights that come out:

# %% tags=["more"]
added = (q @ k1.T)[:, :, None] + (q @ k2.T)[:, None, :]
for name, logits in (("sum of two edges", added), ("trilinear", A)):
    plane = logits[2].flatten().softmax(0).view(S, S)
    product = plane.sum(1)[:, None] * plane.sum(0)[None, :]
    print(
        f"{name:17s} rank {int(torch.linalg.matrix_rank(plane, rtol=1e-5))}, is (weight of j) x (weight of k): {torch.allclose(plane, product)}"
    )

# %% [markdown]
# The exponential of a sum is a product, so the plane of added scores is an outer product: *j* is chosen without looking at *k*. Such a layer can want
# a certain *j* and a certain *k*. It cannot want a certain *j* only if *k* goes with it.
#
# The trilinear plane is not such a product: how much *k* matters depends on *j*. For j = 0 the three *k* differ, for j = 2 they are all
# equal. (Rank 1 means that every row is a multiple of one row.)

# %% [markdown] tags=["slide"]
# ## One softmax, two indices
#
# You have a score for every pair of tokens. For a query with five visible tokens that is 25 numbers. Where do the weights sum to one?

# %% tags=["more"]
axes = predict(
    "Over which axes must the softmax run, so that the layer can pick one pair?",
    "j",
    "k",
    "(j, k) together",
    "j, then k",
)

# %% tags=["slide"]
scores = torch.tensor([[0.0, 2.0], [2.0, 0.0]])  # j down, k across
joint = scores.flatten().softmax(0).view(2, 2)
per_j = scores.softmax(1)
axes.reveal("(j, k) together")
show_figure(
    plots.pair_of_planes(joint, per_j, ("softmax over (j, k)", "softmax over k, for each j")),
    "Two planes of weights for the same four scores. Softmax over both indices sums to 1; softmax over k for each j sums to 2.",
)

# %% [markdown]
# The right-hand plane sums to 2. Each row *j* got its own full unit of attention, so no row can lose to another: the layer can no
# longer say "this pair, not that one".
#
# $$P_{ijk} = \frac{e^{A_{ijk}}}{\sum_{j'k'} e^{A_{ij'k'}}}$$
#
# One denominator for each query (eq. 6). The checker of exercise 03.2 knows the other version by name.

# %% [markdown] tags=["slide"]
# ## The value of a pair
#
# A pair (j, k) brings the product of two values, channel by channel (eq. 7):
#
# $$o_{id} = \sum_{jk} P_{ijk}\; v1_{jd}\, v2_{kd}$$
#
# Shapes: `[S, S, S]`, `[S, D]` and `[S, D]` give `[S, D]`. In our example:

# %%
P = A.flatten(1).softmax(-1).view(S, S, S)
o = torch.einsum("ijk,jd,kd->id", P, v1, v2)
print("weights of each query sum to", P.sum((1, 2)))
print("output\n", o)

# %% [markdown]
# Why a product and not a sum? With a sum, v1 and v2 pass side by side and neither can stop the other. With a product, channel *d* passes only if both
# tokens agree to it: one of them can be a gate for the other.
#
# It has a price: two values near zero give a product much nearer to zero. And it has a special case worth seeing. What is left when every
# second key and every second value is 1?

# %% tags=["more"]
special = predict(
    "k2 = 1 and v2 = 1 everywhere. What does the layer compute?",
    "nothing useful",
    "dot-product attention",
    "a mean of v1",
)

# %%
gen = torch.Generator().manual_seed(0)
big = [torch.randn(1, 16, 2, 8, generator=gen, dtype=torch.float64) for _ in range(3)]
ones = torch.ones_like(big[0])
two = reference.two_simplicial(big[0], big[1], ones, big[2], ones).o
one = reference.dot_product(*big).o
special.reveal("dot-product attention" if torch.allclose(two, one) else "a mean of v1")

# %% [markdown]
# With k2 = 1 the score no longer depends on *k*, the weight of *j* is spread evenly over all *k*, and v2 = 1 adds it up again. So the
# trilinear layer contains the dot-product layer. The paper's kernel listing adds a constant to k2 and another to v2: a layer that starts
# with small k2 and v2 then starts near dot-product attention.

# %% [markdown] tags=["slide"]
# ## What a query may see
#
# Two keys, so two windows: `w1` for *j* and `w2` for *k*, both causal, both counting the query itself. The mask is a rectangle on the (j, k)
# plane whose corner is the query's own position.

# %% tags=["more"]
show_source(windows.visible_pairs)

# %% tags=["slide"]
count = predict("w1 = 8, w2 = 5, query 9. How many pairs does it see?", "13", "40", "45")

# %%
see = windows.visible_pairs(12, 8, 5)
count.reveal(str(int(see[9].sum())))
print("pairs seen by queries 0 to 11:", see.sum((1, 2)).tolist())

# %% [markdown]
# Now the slicer. Move the query and watch the rectangle slide along the diagonal; make a window 1 and the plane becomes a line. The
# bars are what remains when one of the two keys is summed out.

# %% tags=["slide"]
cube_explorer()

# %% [markdown] tags=["slide"]
# ## The whole layer
#
# Here is the library's version, for batches and heads, with shared key heads as in chapter 01. `_logits` multiplies q and k1 first, then does one
# matrix product with k2. `_weigh` does its matrix product with v2 first, then multiplies by v1. The kernels keep this order.

# %% tags=["slide"]
show_source(reference.two_simplicial)

# %%
ours = reference.two_simplicial(
    *(x[None, :, None].double() for x in (q, k1, k2, v1, v2)), causal=False
).o[0, :, 0]
print("the same as the einsum version:", torch.allclose(ours, o.double(), atol=1e-6))

# %% [markdown] tags=["slide"]
# ## Are the gradients right?
#
# Autograd differentiates the naive version. `gradcheck` holds that against numerical differences, in fp64 and on small random inputs. Our hand-written
# backward, which the kernels of chapter 09 follow, must agree with both:

# %% tags=["more"]
gen = torch.Generator().manual_seed(3)
five = [torch.randn(1, 5, 2, 3, generator=gen, dtype=torch.float64) for _ in range(5)]
five = [x.requires_grad_() for x in five]


def layer(*x):
    return reference.two_simplicial(*x, w1=3, w2=2)


print("autograd against differences:", torch.autograd.gradcheck(lambda *x: layer(*x).o, five))

# %%
o5, lse2 = layer(*five)
do = torch.randn(o5.shape, generator=gen, dtype=torch.float64)
by_autograd = torch.autograd.grad(o5, five, do)
by_hand = reference.two_simplicial_backward(*five, o5, lse2, do, w1=3, w2=2)
for name, one, other in zip(("q", "k1", "k2", "v1", "v2"), by_autograd, by_hand, strict=True):
    print(f"d{name:2s} by hand agrees with autograd: {torch.allclose(one, other)}")

# %% [markdown] tags=["slide"]
# ## What it costs
#
# Now the bill. First count: the cube of logits has S³ numbers a head. Here S = 64, D = 16, and there are 2 heads. Then measure:
# `memory_of` follows every tensor that PyTorch creates.

# %% tags=["more"]
question = "How many times the cube's own size does a training step need at its worst moment?"
factor = predict(question, "once", "2 to 5 times", "5 to 10 times", "16 times, that is D times")

# %%
S, H, D = 64, 2, 16
inputs = [torch.randn(1, S, H, D, requires_grad=True) for _ in range(5)]
cube = windows.logits_bytes(S, H, order=3)
forward = memory_of(lambda: reference.two_simplicial(*(x.detach() for x in inputs))).peak
training = memory_of(lambda: reference.two_simplicial(*inputs).o.sum().backward()).peak
factor.reveal(factor.options[sum(training / cube >= t for t in (2, 5, 10))])

# %% tags=["slide"]
show_figure(
    plots.memory_bars({"forward": (cube, forward), "forward and backward": (cube, training)}),
    f"The cube counts {cube / 1e6:.1f} MB. Measured at the worst moment: "
    f"forward {forward / 1e6:.1f} MB, forward and backward {training / 1e6:.1f} MB.",
)

# %% [markdown]
# The formula mentions the cube once. At its worst moment the forward holds it twice, before and after a step, and some smaller tensors beside. The
# backward needs the weights and their gradient. And this is a sequence of 64 tokens.

# %% tags=["slide"]
lengths = [128, 512, 2048, 8192, 32768]
names = {"dot product, S x S": 2, "2-simplicial, S x S x S": 3}
rows = {n: [windows.logits_bytes(s, 8, order=order) for s in lengths] for n, order in names.items()}
machines = {"a laptop with 16 GB": 16e9, "one H200 with 141 GB": 141e9}
show_figure(
    plots.logits_memory(lengths, rows, machines),
    "Memory of the logits of 8 heads in fp32 on log axes: dot product reaches 34 GB at 32k tokens, "
    "2-simplicial passes one H200 before 2048 tokens and reaches 1 PB at 32k.",
)

# %% [markdown]
# Memory can be avoided by tiling; work cannot. These are the floating-point operations of one head at S = 8192, D = 128, causal. The last
# row has the paper's windows:

# %%
S, D = 8192, 128
pairs = windows.dot_product_flops(S, D)
for name, flops in (
    ("dot product, all keys", pairs),
    ("triples, all keys", windows.two_simplicial_flops(S, D)),
    ("triples, 512 x 32", windows.two_simplicial_flops(S, D, 512, 32)),
):
    print(f"{name:22s} {flops:.1e} FLOPs  {flops / pairs:8.1f} times dot product")

# %% [markdown]
# Without windows, triples cost thousands of times as much. With the paper's windows they still cost about four times as much as full dot-product attention at this
# length. Past some length the sliding rectangle becomes the cheaper one: chapter 05 works out where.

# %% [markdown]
# ## Quiz

# %%
quiz("03")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - `A_ijk = sum_d q_id k1_jd k2_kd / sqrt(D)`: one number for a triple, not the sum of two edges.
# - One softmax for each query, over all pairs (j, k) together.
# - The value of a pair is `v1_j * v2_k`, channel by channel. With k2 = v2 = 1 you get dot-product attention back.
# - The naive cube has S³ numbers a head, several times over. With 8 heads it outgrows one H200 before 2,048 tokens.
#
# **Now do:** `simplex-lab start 03` copies [exercise 03](../exercises/03_trilinear_attention.ipynb) to your `work/` folder. **Next:** [04 Rotations, positions and determinants](04_rotations_and_determinants.ipynb).
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), sections 4 and 6; Clift et al. 2019, who began
# with another, non-trilinear score.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
