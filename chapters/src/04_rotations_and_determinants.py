# %% [markdown] tags=["slide"]
# # 04 Rotations, positions and determinants
#
# After this chapter you can
#
# - show why rotary position embedding works for dot products and breaks for the trilinear form,
# - replace the trilinear form by determinants, and say exactly which positions then stay relative,
# - build a head by hand that solves Match3 with repeats, and name the slips in a published theorem about it.

# %%
import math

import torch

from simplex_lab import match3_head, plots, reference, tasks
from simplex_lab.explorers import rotation_explorer
from simplex_lab.quiz import predict, quiz
from simplex_lab.rotations import rotate_by_position
from simplex_lab.show import show_figure, show_source

plots.style()
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown] tags=["slide"]
# ## One picture
#
# Three vectors, turned together. What should a score do? If turning stands for moving along the sequence, then moving everything by the same distance
# must not change it. Turn the slider: one of the three curves fails.

# %% tags=["more"]
rotation_explorer()

# %% [markdown] tags=["slide"]
# ## Two channels by hand
#
# Turn by 90 degrees: (x, y) becomes (-y, x). Take q = (1, 2), k1 = (3, 1), k2 = (1, 1).
#
# The dot product ⟨q, k1⟩ is 1·3 + 2·1 = 5. Turned: q = (-2, 1), k1 = (-1, 3), and (-2)(-1) + 1·3 = 5 again.
#
# The trilinear form is 1·3·1 + 2·1·1 = 5. Turned, k2 = (-1, 1):

# %% tags=["more"]
turned = predict("What is the trilinear form of the three turned vectors?", "5", "1", "-5")

# %%
q, k1, k2 = torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, 1.0]])
quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
after = [quarter @ v for v in (q, k1, k2)]
turned.reveal(f"{(after[0] * after[1] * after[2]).sum():.0f}")

# %% [markdown]
# **Why.** A rotation is a matrix *R* with `R^T R = I`, and the dot product is a matrix product: `(R q)^T (R k) = q^T R^T R k = q^T k`. The
# trilinear form sums products of three coordinates. It depends on which directions you call channels, and a rotation mixes channels.

# %% [markdown]
# Rotary position embedding (RoPE) turns *q* at position *i* by *i* times a fixed angle, and *k* at *j* by *j* times it. By the same lines
# `(R_i q)^T (R_j k) = q^T R_(j-i) k`: only the distance counts. Here is that, and the same with three vectors. `rotate_by_position` turns two of every three
# channels, by position times rate, and leaves the third (soon you see why three). All positions move by 7:

# %%
gen = torch.Generator().manual_seed(0)
q, k1, k2 = (torch.randn(1, 6, 1, 6, generator=gen, dtype=torch.float64) for _ in range(3))
rates = torch.tensor([0.9, 0.3])


def moved(logits, shift):
    at = torch.arange(6) + shift
    return logits(*(rotate_by_position(x, rates, at) for x in (q, k1, k2)))


for name, logits in (
    ("dot product", lambda a, b, c: reference.dot_product_logits(a, b)),
    ("trilinear", reference.trilinear_logits),
    ("determinant", reference.determinant_logits),
):
    change = (moved(logits, 7) - moved(logits, 0)).abs().max()
    print(f"{name:12s} changes by {'nothing' if change < 1e-12 else f'up to {change:.2f}'}")

# %% [markdown] tags=["slide"]
# ## Determinants
#
# A score of three vectors that does not care about rotations is well known: the volume they span, with a sign.
#
# $$\det\nolimits_2(a, b) = a_1 b_2 - a_2 b_1 \qquad \det\nolimits_3(a, b, c) = (a \times b) \cdot c$$
#
# with $a \times b = (a_2 b_3 - a_3 b_2,\ a_3 b_1 - a_1 b_3,\ a_1 b_2 - a_2 b_1)$.
#
# Turning all three turns the box and leaves its volume: `det(R a, R b, R c) = det(R) det(a, b, c)`, and a rotation has `det(R) = 1`. (A
# mirror has -1 and flips the sign.)

# %% [markdown]
# Cut head vectors into chunks of three channels and add up their determinants, and you have logits again (eq. 9 of the paper):
#
# $$A_{ijk} = \sum_l \det\nolimits_3\big[q_i^{(l)}, k1_j^{(l)}, k2_k^{(l)}\big]$$

# %% tags=["more"]
volume = predict(
    "a = (1, 0, 0), b = (0, 2, 0), c = (5, 7, 3). What is det(a, b, c)?", "6", "15", "0"
)

# %%
a, b, c = torch.tensor([[1.0, 0, 0], [0, 2, 0], [5, 7, 3]])
print("a x b =", torch.linalg.cross(a, b))
volume.reveal(f"{torch.linalg.cross(a, b) @ c:.0f}")

# %% [markdown]
# By the rule of Sarrus a determinant is two sums of triple products: two trilinear forms ⟨ , , ⟩ on permuted channels.
#
# $$\begin{aligned}\det\nolimits_3 ={} & \langle (a_1, a_2, a_3), (b_2, b_3, b_1), (c_3, c_1, c_2)\rangle \\
# {}-{} & \langle (a_1, a_2, a_3), (b_3, b_1, b_2), (c_2, c_3, c_1)\rangle\end{aligned}$$

# %%
a, b, c = (x[0, :, 0, :3] for x in (q, k1, k2))  # one chunk of each, [S, 3]
plus = torch.einsum("id,jd,kd->ijk", a, b[:, [1, 2, 0]], c[:, [2, 0, 1]])
minus = torch.einsum("id,jd,kd->ijk", a, b[:, [2, 0, 1]], c[:, [1, 2, 0]])
# scale=1: eq. 9 has none; by default the library divides by sqrt(2 D)
library = reference.determinant_logits(*(x[None, :, None] for x in (a, b, c)), scale=1.0)[0, 0]
print("Sarrus equals the library:", torch.allclose(plus - minus, library))
cross = torch.linalg.cross(a[:, None], b[None, :])  # q_i x k1_j
print("so does (q x k1) . k2:    ", torch.allclose(cross @ c.T, library))

# %% [markdown]
# The last line is how the kernels do it: the cross product takes the place of `q * k1_j`, and one matrix product with k2 remains. Only what is computed once for
# each (i, j) gets dearer, two products for a channel instead of one.
#
# If D is no multiple of three, the last one or two channels have no chunk. In this course they enter by their plain product `q k1 k2`; the paper does not say.

# %% [markdown] tags=["slide"]
# ## Which positions stay relative?
#
# Not any rotation will do. Write *R^t* for *R* applied *t* times (no transpose here). Then
#
# $$\det(R^i q, R^j k_1, R^k k_2) = \det(q, R^{\,j-i} k_1, R^{\,k-i} k_2)$$
#
# if *R* is **one** matrix: pull out `R^i`, whose determinant is 1. So within a chunk, all three vectors must turn around one axis at one rate. Different chunks may
# have axes and rates of their own. Two ways to break it:


# %%
def shifted(turn):
    return [reference.determinant_logits(*turn(torch.arange(6) + s)) for s in (0, 7)]


def own_rates(at):
    return [
        rotate_by_position(x, r * rates, at) for x, r in zip((q, k1, k2), (1, 2, 1), strict=True)
    ]


def own_axes(at):
    x = [rotate_by_position(x, rates, at) for x in (q, k1, k2)]
    rolled = k1.view(1, 6, 1, 2, 3).roll(1, -1).reshape(k1.shape)  # (x, y, z) -> (z, x, y)
    turned = rotate_by_position(rolled, rates, at).view(1, 6, 1, 2, 3)
    return [x[0], turned.roll(-1, -1).reshape(k1.shape), x[2]]  # k1 turns around its second axis


for name, turn in (("k1 at twice the rate", own_rates), ("k1 around another axis", own_axes)):
    before, after = shifted(turn)
    print(f"{name:23s} moving by 7 changes the logits by up to {(before - after).abs().max():.2f}")

# %% [markdown]
# **What it gives.** Around the third axis, a chunk's determinant is three terms (det2 of the first two channels; $k_{1,3}$ is the third channel of k1):
#
# $$\begin{aligned} & q_3 \det\nolimits_2(k_1, R^{k-j} k_2) \\ {}-{} & k_{1,3} \det\nolimits_2(q, R^{k-i} k_2) \\ {}+{} & k_{2,3} \det\nolimits_2(q, R^{j-i} k_1)\end{aligned}$$
#
# Each pair of tokens gets a rotary score of its own distance, and the third token, through its unturned channel, decides how much that score counts. So a pair's
# distance can matter only if the third token lets it.

# %% [markdown]
# **What it does not give.** A distance of three tokens at once: the formula is a sum of terms, each with one pairwise distance. And it is no free gift. The volume of
# parallel vectors is zero whatever their length, and exchanging two of the three vectors flips the sign.

# %% [markdown] tags=["slide"]
# ## A head built by hand
#
# Match3, with repeats: does some pair (j, k) of tokens up to i exist, j and k free to repeat (j = k and j = i are allowed), so that `x_i + x_j + x_k` is a multiple of M? Chapter 00 trained
# a model for its sister task. Here is a head that needs no training at all.

# %% [markdown]
# Put the tokens on a circle: `theta = 2 pi x / M`. Then `cos(theta_i + theta_j + theta_k)` is 1 exactly for a match, and at most `cos(2 pi / M)` otherwise. Can
# determinants compute it? With a first chunk `q = (cos, sin, 1)`, `k1 = (sin, cos, 0)`, `k2 = (0, 0, cos)`:
#
# $$\begin{aligned}\det &= (q_1 k_{1,2} - q_2 k_{1,1})\, k_{2,3} \\ &= (\cos\theta_i \cos\theta_j - \sin\theta_i \sin\theta_j) \cos\theta_k \\
# &= \cos(\theta_i + \theta_j) \cos\theta_k\end{aligned}$$
#
# and a second chunk gives `-sin(theta_i + theta_j) sin(theta_k)` in the same way. Their sum is what we want. Six channels.

# %% tags=["more"]
show_source(match3_head.vectors)

# %% [markdown]
# **Where does the weight go when nothing matches?** A softmax must put it somewhere. So there is a blank token in front, whose value is 0. The third channel of
# each chunk of *q*, a 1, meets only the blank's keys `(s, 0, 0)` and `(0, r, 0)`. With s = 1/4 and r = 2 the pair (blank, blank) scores `2 s r c = c`, as much as a match,
# and a blank with a token at most `c/4`.

# %% [markdown]
# The head's output is then the weight *z* on pairs of tokens. Without a match almost everything lies on the blank, z = 0. With m matches, z is about m/(m + 1). They
# come in twos, (j, k) and (k, j), unless j = k.

# %% [markdown]
# **How sharp?** The factor *c* on *q* is an inverse temperature. The n² wrong pairs score at most `c cos(2 pi / M)`, so against the blank they weigh at most
#
# $$n^2 e^{-c (1 - \cos(2\pi/M))} = n^2 e^{-2 c \sin^2(\pi/M)}$$
#
# For z < 1/4 this has to stay below 1/3.

# %%
show_source(match3_head.inverse_temperature)

# %% tags=["slide"]
growth = predict(
    "M doubles. By how much does the c that is needed grow?", "2 times", "4 times", "not at all"
)

# %%
cs = {M: match3_head.inverse_temperature(20, M) for M in (24, 48, 96)}
print({M: round(c) for M, c in cs.items()})
growth.reveal(f"{cs[96] / cs[48]:.0f} times")

# %% [markdown]
# Now try it. The head takes 1.5 times this bound, to have room. Thousands of random sequences, and some made to be hard: near misses, whose sum is one off, and
# matches planted on purpose.

# %%
gen = torch.Generator().manual_seed(1)
for M, n in ((5, 8), (23, 12), (97, 20), (997, 16)):
    x = torch.randint(0, M, (2000, n), generator=gen)
    x[:500, -1] = (1 - x[:500, 0] - x[:500, 1]) % M  # near misses
    x[500:1000, -1] = (-x[500:1000, 0] - x[500:1000, 1]) % M  # one match on purpose
    y = tasks.match3_labels(x, M, distinct=False)
    found = match3_head.decide(match3_head.weight_of_tokens(x, M)) > 0.5
    print(
        f"M = {M:3d}, n = {n:2d}: {(found != y).sum()} errors at {y.numel():,} positions, {y.float().mean():.0%} have a match"
    )

# %% [markdown]
# `decide` is a feed-forward step that turns z into an answer: 0 below 3/16, 1 above 5/16, a ramp between. Nothing should lie on the ramp (a point's height within its band means nothing):

# %% tags=["slide"]
x = torch.randint(0, 97, (60, 12), generator=gen)
z = match3_head.weight_of_tokens(x, 97)
labels = tasks.match3_labels(x, 97, distinct=False)
show_figure(
    plots.weight_strip(z, labels, 97),
    "The weight on pairs of tokens: near 0 for all queries without a match, about one half and more for those with one; "
    "the thresholds at 3/16 and 5/16 lie between.",
)

# %% [markdown] tags=["slide"]
# ## Where floating point ends it
#
# A match and the best miss differ by `2 c sin(pi / M)^2`, about `20 c / M²`. The logits themselves are of size *c* and carry a relative error of a few eps. So the
# head needs `M²` well below `20 / eps`: the limit grows like the square root of the precision.


# %%
def mistakes_at(M, dtype):
    gen = torch.Generator().manual_seed(M)
    x = torch.randint(0, M, (60, 12), generator=gen)
    x[:30, 5] = (-x[:30, 0] - x[:30, 2]) % M
    x[30:, 5] = (1 - x[30:, 0] - x[30:, 2]) % M
    z = match3_head.weight_of_tokens(x, M, dtype=dtype).float()
    return int(((match3_head.decide(z) > 0.5) != tasks.match3_labels(x, M, distinct=False)).sum())


sizes = [11, 17, 23, 31, 47, 97, 199, 997, 1999, 3989, 7919, 15013]
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    right = [M for M in sizes if mistakes_at(M, dtype) == 0]
    good = max((M for M in right if all(m in right for m in sizes if m <= M)), default=0)
    print(
        f"{dtype!s:15s} no wrong answer up to M = {good:5d} of those tried; sqrt(20 / eps) = {math.sqrt(20 / torch.finfo(dtype).eps):.0f}"
    )

# %% [markdown] tags=["slide"]
# ## The theorem and its slips
#
# The paper states this as theorem 5.1, with head dimension 7 and a proof. Read closely, four things do not fit:
#
# - Seven is not a multiple of three: the seventh channel scores the blank by a plain product, a mixture and not (9). Pure (9) needs six.
# - Its blank is a *pair*. A blank *token* also meets every other token, in 2n mixed pairs of value 0. They lower z, visibly at M = 2 or 3.
# - It decides at z = 1/2. But a single match gives one half, give or take rounding.
# - The inverse temperature is never stated. It is of order `M² ln n`.

# %% [markdown]
# None of this breaks the claim: the head above is a repair. It shows what it takes to make a theorem run.
#
# The third slip, in numbers. Two tokens a and -2a: at the second one the only match is j = k = 0. All a from 1 to 96, M = 97, in two precisions:

# %% tags=["more"]
a = torch.arange(1, 97)
single = torch.stack([a, -2 * a % 97], 1)
for dtype in (torch.float32, torch.float64):
    z = match3_head.weight_of_tokens(single, 97, dtype=dtype)[:, 1]
    print(
        f"{dtype!s}: z between {z.min():.5f} and {z.max():.5f}, {(z < 0.5 - 1e-9).sum()} of {len(z)} below one half"
    )

# %% [markdown]
# Rounding alone pushes them below one half; near misses push a few above. A threshold of 1/4 has room for both.

# %% [markdown]
# ## Quiz

# %%
quiz("04")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - A dot product is unchanged when both vectors turn together; a trilinear form is not, so RoPE has nothing to stand on.
# - A determinant is unchanged. With one axis and rate a chunk, logits depend on j - i and k - i only.
# - `(q x k1) . k2`: the cross product takes the place of `q * k1_j`, the matrix product stays.
# - Six channels solve Match3 with repeats, up to an M of a few thousand in fp32.
#
# **Now do:** `simplex-lab start 04` copies [exercise 04](../exercises/04_rotations_and_determinants.ipynb) to your `work/` folder. **Next:** [05 Windows and cost](05_windows_and_cost.ipynb).
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), section 5; Su et al. 2021, *RoFormer*,
# [arXiv:2104.09864](https://arxiv.org/abs/2104.09864); Sanford et al. 2023, *Representational Strengths and Limitations of Transformers*.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
