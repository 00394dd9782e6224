# %% [markdown] tags=["slide"]
# # 11 A small 2-simplicial transformer
#
# After this chapter you can
#
# - read the whole model and count its weights and FLOPs,
# - make two models equal in parameters, and say what stays unequal,
# - look into a trained head and see which pair of tokens it uses.

# %%
from dataclasses import replace

import torch

from simplex_lab import model, plots
from simplex_lab.model import Attention, ModelConfig, every
from simplex_lab.probe import pair_weights
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source
from simplex_lab.tasks import Match
from simplex_lab.train import TrainConfig, train_with_bar

plots.style()
_ = torch.manual_seed(0)

# %% [markdown] tags=["slide"]
# ## One picture
#
# A decoder is a stack of layers. In the paper every fourth layer looks at pairs of tokens, the others at single ones. That leaves a question open: counted from where? The first two stacks are both "every 4th".

# %% tags=["more"]
stacks = {
    "every 4th of 8,\nfrom the bottom": every(4, 8),
    "every 4th of 8,\nlast of each four": every(4, 8, first=3),
    "one at the bottom": every(4, 4),
    "one on top": every(4, 4, first=3),
    "dot product": ("dot",) * 4,
}
show_figure(
    plots.layer_stacks(stacks),
    "Five stacks of layers, the input at the bottom; purple boxes with a triangle are 2-simplicial: "
    + "; ".join(
        f"{name}: {[n for n, k in enumerate(s) if k == 'simplicial']}" for name, s in stacks.items()
    ),
)

# %% [markdown] tags=["slide"]
# ## By hand: what does a layer weigh?
#
# A stream of 4 channels, 2 heads of 2 channels. Dot-product attention projects to q, k, v and mixes the heads at the end: four matrices of 4 x 4. A 2-simplicial attention projects to q, k1, k2, v1, v2.

# %% tags=["more"]
heavier = predict(
    "All heads have keys of their own. A 2-simplicial attention has how many weights, if dot-product attention has 64?",
    "64",
    "96",
    "128",
)

# %%
tiny = ModelConfig(vocabulary=2, length=8, layers=("dot",), width=4, heads=2)
for kind in ("dot", "simplicial"):
    weights = sum(p.numel() for p in Attention(tiny, kind).parameters())
    print(f"{kind:10s} {weights} weights")
heavier.reveal(str(weights))

# %% [markdown]
# Six matrices instead of four. Share keys, and the difference all but vanishes: the paper has 64 query heads on one key head, so that one more key and one more value are two more slivers of 1/64.

# %%
for key_heads in (64, 8, 1):
    wide = replace(tiny, width=1024, heads=64, key_heads=key_heads)
    dot, triple = (
        sum(p.numel() for p in Attention(wide, k).parameters()) for k in ("dot", "simplicial")
    )
    print(f"{key_heads:2d} key heads: {triple / dot:.3f} times the weights of a dot product's")

# %% [markdown] tags=["slide"]
# ## The attention of a layer
#
# Here is all of it. Projections, norms, positions, then `attend`: the reference on a CPU, the kernels of chapters 08 to 10 on a GPU. A test holds the two to the same numbers.

# %% tags=["more"]
show_source(Attention.forward)

# %%
show_source(Attention.attend)

# %% [markdown]
# The rest is any transformer's: embed; in each layer norm, attention, add, norm, MLP, add; norm and read off. (`output_norm`, `skip` and `residual` are options for experiments, and off here.)

# %%
show_source(model.Layer.forward)
show_source(model.Model.forward)

# %% [markdown] tags=["slide"]
# ## Positions
#
# RoPE turns q and k of a dot product by their positions; only the distance is left in their product. Chapter 04 showed that a trilinear form does not survive such a turn. So this model turns nothing in a trilinear layer. It has its windows, its causal mask, and what layers below it know.
#
# Two tests, in windows of 3. Put three tokens in front of a sequence: if only distances count, the last output stays. And exchange two tokens inside the last window: who is told the order notices.

# %% tags=["more"]
order = predict(
    "No learned positions. Who notices the exchange: a dot product with RoPE, a trilinear layer?",
    "the dot product",
    "the trilinear layer",
    "both",
)

# %%
rope = ModelConfig(2, 9, ("dot",), width=24, heads=2, w1=3, w2=3, positions="rope")
turned = replace(rope, logits="determinant")
kinds = {"dot, RoPE": (rope, "dot"), "trilinear": (rope, "simplicial")}
kinds["determinants, turned"] = (turned, "simplicial")
x, front = torch.randn(1, 6, 24), torch.randn(1, 3, 24)

# %%
for name, (config, kind) in kinds.items():
    f = Attention(config, kind)
    last = f(x)[:, -1]
    moved = bool((last - f(torch.cat([front, x], 1))[:, -1]).abs().max() > 1e-4)
    noticed = bool((last - f(x[:, [0, 1, 2, 4, 3, 5]])[:, -1]).abs().max() > 1e-4)
    print(f"{name:21s} tokens in front change it: {moved!s:5s}  notices the exchange: {noticed}")
order.reveal("the dot product")

# %% [markdown]
# Nothing changes for tokens in front: for RoPE and determinants that is the point, since everything was turned further. A trilinear layer simply sees each of its windows as a bag. Determinants can be turned (chapter 04), and then they tell the order, too. The models below use learned positions, which serve all kinds.

# %% [markdown] tags=["slide"]
# ## Norms and biases
#
# A trilinear logit has three factors. If training doubles all of them, logits grow eightfold, and a softmax over thousands of pairs becomes a spike. With `qk_norm` the three are normed first, so that the projections can no longer do that (the norms' own gains still can):

# %% tags=["more"]
x = torch.randn(1, 6, 16)
for name, normed in (("plain", False), ("normed", True)):
    f = Attention(
        ModelConfig(2, 6, ("simplicial",), width=16, heads=1, qk_norm=normed), "simplicial"
    )
    before = f(x)
    f.inputs.weight.data[:48] *= 4  # q, k1 and k2
    print(
        f"{name:7s} q, k1, k2 four times as large: the output moves by {(f(x) - before).abs().max():.3f}"
    )

# %% [markdown]
# Four times each would be 64 times the logit. And a bias of 1 on v2 lets plain values through: `v1 * (v2 + 1) = v1 * v2 + v1`. Then the layer contains an attention over single tokens, with the weights of pairs summed up over *k*. The paper adds such constants to k2 and v2; in this model they are `k2_bias` and `v2_bias`, 0 unless you say so.

# %% [markdown] tags=["slide"]
# ## Equal parameters
#
# Two models are compared. One has 2-simplicial attention and so more weights. Is it better because of its triples, or because it is larger? `match_parameters` lets the MLP of the other take up the difference:

# %% tags=["more"]
show_source(model.match_parameters)

# %%
triple = ModelConfig(17, 12, ("simplicial", "dot"), width=64, heads=2, hidden=128)
pairs = replace(triple, layers=("dot", "dot"))
matched = model.match_parameters(pairs, model.parameter_count(triple))
arms = {"2-simplicial": triple, "dot product, as it is": pairs, "dot product, matched": matched}
for name, c in arms.items():
    count, work = model.parameter_count(c), model.flops_per_token(c) / 1e3
    print(f"{name:22s} hidden {c.hidden}: {count:6,d} parameters, {work:4.0f} kFLOPs a token")

# %% [markdown]
# FLOPs are counted like this:

# %%
show_source(model.flops_per_token)

# %% [markdown]
# Equal parameters are not equal FLOPs: forming triples costs work and no weights. (Here little, since sequences are short.) A fair table says both. Nor are the MLPs equally wide, which may matter on its own. So one compares at several widths and depths, and calls nothing fair without saying which quantity is equal.

# %% [markdown] tags=["slide"]
# ## Watch one learn
#
# Match3 again: is there a pair of earlier tokens that sums with this one to a multiple of 17? Two layers, the 2-simplicial one at the bottom, half a minute.

# %% tags=["more"]
task = Match(order=3, n=12, modulus=17)
config = TrainConfig(triple, task, steps=300, batch=128, lr=6e-3)
print(f"best guess from the position alone: {task.guess_accuracy():.2f}")

# %% tags=["nbval-ignore-output"]
torch.set_num_threads(1)
history = train_with_bar("2-simplicial below", config)

# %%
assert history.accuracy[-1] > 0.93, history.accuracy
print("held-out accuracy after", f"{history.tokens[-1]:,}", "tokens: above 0.93")

# %% [markdown] tags=["slide"]
# ## Which pair does it look at?
#
# `pair_weights` reads the weights out of the trained layer while it looks at a sequence it has never seen. If the layer solves the task the way we think, a query that has partners puts its weight on them.

# %%
x, y = task.sample(200, torch.Generator().manual_seed(9))
P = pair_weights(history.model, 0, x)
total = (x[:, :, None, None] + x[:, None, :, None] + x[:, None, None, :]) % task.modulus
n = torch.arange(task.n)
apart = (n[:, None] != n)[:, :, None] & (n[:, None] != n)[:, None, :] & (n[:, None] != n)[None]
match = (total == 0) & apart & (n[:, None, None] >= torch.maximum(n[:, None], n))
asked = match.flatten(2).any(-1)
on_partners = torch.where(match[:, None], P, 0).flatten(-2).sum(-1)  # [sequence, head, query]
each_head = torch.stack([on_partners[:, h][asked].mean() for h in range(triple.heads)])
by_chance = (match.flatten(2).sum(-1) / (n + 1) ** 2)[asked].mean()

# %% tags=["more"]
share = predict(
    f"Weights spread evenly would put {by_chance:.0%} on the partners. Each of the two heads puts there",
    "about 10%",
    "about a quarter",
    "nearly half",
)

# %%
assert each_head.min() > 0.35 > 0.1 > by_chance, (each_head, by_chance)
share.reveal("nearly half")
print("on partners, evenly spread: less than 10%; by each head: more than 35%")

# %% [markdown]
# On average. One sequence, one query, and of the two heads the one that does better on it: the circles are the pairs that make the label 1. *(j, k)* and *(k, j)* are the same two tokens, and either will do.

# %% tags=["nbval-ignore-output", "slide"]
b, i = next((b, i) for b in range(200) for i in (11, 10, 9) if match[b, i].sum() == 2)
marks = match[b, i].nonzero().tolist()
head = int(torch.where(match[b, i], P[b, :, i], 0).flatten(1).sum(1).argmax())
tokens = x[b].tolist()
show_figure(
    plots.pair_plane(P[b, head], i, marks=marks),
    f"Weights of head {head} on the plane of pairs for query {i} of the tokens {tokens}; circled: {marks}.",
)

# %% [markdown]
# A weight on the right pair shows that the head finds it. It does not show that nothing else in the model does, nor how the label is read off. For that one would take the pair away and see the answer change.

# %% [markdown]
# ## Quiz

# %%
quiz("11")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - A 2-simplicial attention has five projections and the output's; with shared keys that is hardly more than a dot product's.
# - RoPE is for dot products and determinants. Trilinear layers get their positions from elsewhere.
# - Equal parameters, equal tokens, equal FLOPs: three comparisons. Say which one you made.
# - "Every 4th layer" leaves open where to begin. Chapter 12 asks what that changes.
#
# **Now do:** `simplex-lab start 11` copies [exercise 11](../exercises/11_a_small_transformer.ipynb) to your `work/` folder.
#
# **Further reading:** Roy et al. 2025, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754), sections 4, 6 and 8; Su et al. 2021, *RoFormer*, [arXiv:2104.09864](https://arxiv.org/abs/2104.09864); Ainslie et al. 2023,
# *GQA*, [arXiv:2305.13245](https://arxiv.org/abs/2305.13245).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
