# %% [markdown] tags=["slide"]
# # 02 What pairs cannot see
#
# After this chapter you can
#
# - name a task whose answer depends on triples and on no pair, and show that with a table,
# - say what a dot-product layer can do about it, and what an MLP, a second head or a second layer change,
# - keep apart what is proved, what is conjectured and what was only observed.
#
# You train small models live, and look at five seeds of each in a record.

# %%
import itertools

import torch

from simplex_lab import plots, presets, records
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source
from simplex_lab.tasks import Match, WindowBits, match2_labels, match3_labels
from simplex_lab.train import train_with_bar

plots.style()

# %% [markdown] tags=["slide"]
# ## Edges, triangles, simplices
#
# A *simplex* is a set of points with everything in between. Two tokens span an edge, three a filled triangle, four a tetrahedron. The number
# in the name counts dimensions, so a *2*-simplex has *three* corners.

# %% tags=["more"]
show_figure(
    plots.simplices(),
    "From left to right: one token as a point, two as an edge, three as a filled triangle, four as "
    "a tetrahedron with all its edges.",
)

# %% [markdown]
# Attention scores simplices. Dot-product attention gives every edge a number, 2-simplicial attention every triangle. How many are there?

# %% tags=["slide"]
n = 1000
count = predict("1000 points. How many triangles for each edge can you draw?", "3", "333", "1000")

# %%
pairs, triples = n * (n - 1) // 2, n * (n - 1) * (n - 2) // 6
count.reveal(f"{round(triples / pairs)}")
print(f"{pairs:,} pairs, {triples:,} triples")

# %% [markdown] tags=["slide"]
# ## Three bits that look independent
#
# Is the filled triangle more than its three edges? Toss two coins, *a* and *b*. Let *c* be 1 if exactly one of them is 1 (exclusive or). All four
# outcomes are equally likely:

# %% tags=["more"]
outcomes = [(a, b, a ^ b) for a, b in itertools.product((0, 1), repeat=2)]
seen = torch.zeros(2, 2, 2)
for a, b, c in outcomes:
    seen[a, b, c] += 1
print("a b c:", "  ".join("".join(map(str, o)) for o in outcomes))
know = predict(
    "You are told c alone. What do you know about a?", "a is likely 0", "a equals c", "nothing"
)

# %% tags=["slide"]
tables = {("a", "b"): seen.sum(2), ("a", "c"): seen.sum(1), ("b", "c"): seen.sum(0)}
know.reveal("nothing")
show_figure(
    plots.hollow_and_filled(tables, seen),
    "Three tables of two bits each, in which every entry is 1, and the counts of the eight triples: "
    "four of them occur once, four never.",
)

# %% [markdown]
# Every pair of bits looks like two independent coins: all four entries are equal. Yet the three together are anything but independent. Half of the
# triples never occur, and two bits fix the third.
#
# Someone who may only look at pairs, however many pairs, sees three coins. The triangle has something that none of its edges has.

# %% [markdown] tags=["slide"]
# ## Match2 and Match3
#
# Sanford et al. 2023 made this a task. Here is a causal version of it with distinct positions, counted from 0. Tokens are numbers below *M*:
#
# - **Match2**: is there a *j* < *i* with $x_i + x_j \equiv 0 \pmod M$?
# - **Match3**: are there *j* < *k* < *i* with $x_i + x_j + x_k \equiv 0 \pmod M$?

# %% tags=["more"]
x = torch.tensor([[3, 8, 4, 9, 7, 2]])
guess2 = predict(
    "M = 10 and x = 3, 8, 4, 9, 7, 2. Match2: which positions have label 1?", "4, 5", "1, 5", "5"
)

# %%
labels2 = match2_labels(x, 10)[0]
guess2.reveal(", ".join(str(p) for p in labels2.nonzero().flatten().tolist()))
print("Match2:", labels2.int().tolist())
print("Match3:", match3_labels(x, 10)[0].int().tolist())

# %% [markdown]
# Position 4 holds 7 and finds the 3, position 5 holds 2 and finds the 8. For Match3, position 3 holds 9 and finds 3 + 8, which makes 20,
# and position 4 holds 7 and finds 4 + 9, 20 again.
#
# Match2 suits a dot product. Put every number on a clock with *M* hours, at the angle $\theta = 2\pi x / M$. Then
# $\cos(\theta_i + \theta_j) = \cos\theta_i\cos\theta_j - \sin\theta_i\sin\theta_j$: a dot product of two channels, largest for partners.

# %%
M = 23
theta = 2 * torch.pi * torch.arange(M) / M
q = torch.stack([theta.cos(), theta.sin()], 1)
k = torch.stack([theta.cos(), -theta.sin()], 1)
best = (q @ k.T).argmax(1)
print(
    "partner of 5:",
    best[5].item(),
    "  all partners found:",
    bool(((torch.arange(M) + best) % M == 0).all()),
)

# %% [markdown]
# $\cos(\theta_i + \theta_j + \theta_k)$ is a sum of four products of three factors: a trilinear form. Chapter 04 builds a whole head from that.
#
# Can sums of pairs imitate it? Take the table *T[a, b, c]*, 1 where a + b + c is a multiple of *M* = 23, and ask for its best approximation, by least
# squares, by three tables of pairs: $f(a, b) + g(a, c) + h(b, c)$. Start with the averages over one index:

# %%
r = torch.arange(M)
T = ((r[:, None, None] + r[None, :, None] + r[None, None, :]) % M == 0).double()
for axis, name in enumerate("abc"):
    mean = T.mean(axis)
    print(f"mean over {name}: from {mean.min():.4f} to {mean.max():.4f}   (1 / M = {1 / M:.4f})")

# %% [markdown]
# All averages are the same number: whatever two of the three you know, the chance of a match is 1/M. So T − 1/M sums to zero against every *f(a, b)*,
# every *g(a, c)* and every *h(b, c)*, and no table of pairs reduces the error. The best sum is the constant 1/M. As with the three bits, everything is in the triple.
#
# This is about *additive* tables of pairs in one step. A network is more than that: it has a softmax, heads, layers, and an MLP after each attention. So let
# us look at what small models do.

# %% [markdown] tags=["slide"]
# ## A task for one head
#
# A row of random bits. The label of a position is the **parity** of its last three bits: 1 if an odd number of them are 1. The control is the
# **majority** of the same three bits: same inputs, same window, but each bit votes on its own.

# %%
bits = torch.tensor([[1, 0, 1, 1, 0, 0]])
parity, majority = (
    WindowBits(rule, n=6, span=3).labels(bits)[0] for rule in ("parity", "majority")
)
print("bits     ", bits[0].tolist())
print("parity   ", parity.tolist(), " (-1: not asked)")
print("majority ", majority.tolist())

# %% [markdown]
# The models have one layer of attention **alone** (with its residual and norms): one head, no MLP, and a window of three tokens. A dot-product model has fewer projections, so it is made
# wider; it has a few more parameters than the other.

# %% tags=["more"]
runs = presets.chapter02(seed=0)
bit_runs = {arm: c for (task, arm), c in runs.items() if task == "parity, one head"}
stuck = predict(
    "Three bits have 8 patterns. On how many will the trained dot-product head be right?",
    "4, a coin toss",
    "6",
    "8, all of them",
)

# %% tags=["nbval-ignore-output"]
torch.set_num_threads(1)
parity_histories = {arm: train_with_bar(arm, config) for arm, config in bit_runs.items()}

# %%
accuracy = {arm: h.accuracy[-1] for arm, h in parity_histories.items()}
assert accuracy["2-simplicial, 1 layer"] > accuracy["dot product, 1 layer"] + 0.08, accuracy
patterns = round(8 * accuracy["dot product, 1 layer"])
stuck.reveal({4: "4, a coin toss", 6: "6", 8: "8, all of them"}[patterns])
print("The dot-product head ends at", patterns, "of 8 patterns, the 2-simplicial head higher.")

# %% [markdown]
# Why 6? Count what a vote could do: say 1 if at most *t* of the three bits are 1. Of the 8 patterns, 1, 3, 3 and 1 have 0, 1, 2 and 3 ones.

# %%
groups = {0: 1, 1: 3, 2: 3, 3: 1}
for t in range(3):
    right = sum(g for ones, g in groups.items() if (ones <= t) == (ones % 2 == 1))
    print(f"say 1 if at most {t} bits are 1: right on {right} of 8")

# %% [markdown]
# No single cut gets more than 6, in either direction. The head ended at the same number. That suggests a vote, but does not show that it votes. The
# 2-simplicial head can multiply: a pair's score and a pair's value hold two bits at once.
#
# Does that mean that pairs cannot do parity? Not yet: one could split the same width into two heads. The record near the end of this chapter has five seeds of
# that, and you will guess first.

# %% [markdown] tags=["slide"]
# ## Relations that compose
#
# The input is a small graph: six arrows between four things, each arrow a token, 4a + b for $a \to b$. Then come six questions *(x, y)*, the tokens
# 16 + 4x + y: is there a *z* with $x \to z$ and $z \to y$? With arrows 0 → 1 and 1 → 3 the answer to (0, 3) is yes, to (3, 0) no. Arrows may repeat or loop.
#
# A question meets two arrows, and they must fit each other in *z*. That is a triple again.

# %% [markdown]
# This time the models are whole layers with an MLP, with equal parameters and equal tokens, and there is a dot-product model with **two** layers. It can do one
# step after the other: first combine arrows, then answer.

# %% tags=["slide"]
composition_runs = {arm: c for (task, arm), c in runs.items() if task == "composition"}
task = composition_runs["2-simplicial, 1 layer"].task
show_source(type(task).labels)
print(f"best guess from the position alone: {task.guess_accuracy():.2f}")
depth = predict(
    "Which models come above 0.95?",
    "only the 2-simplicial layer",
    "the 2-simplicial layer and the two-layer model",
    "all three",
)

# %% tags=["nbval-ignore-output"]
composition_histories = {arm: train_with_bar(arm, c) for arm, c in composition_runs.items()}

# %% tags=["nbval-ignore-output", "slide"]
curves = {arm: [(h.tokens, h.accuracy)] for arm, h in composition_histories.items()}
last = ", ".join(f"{arm} {h.accuracy[-1]:.2f}" for arm, h in composition_histories.items())
show_figure(
    plots.accuracy_curves(curves, task.guess_accuracy()),
    f"Accuracy on relation composition against training tokens. At the end: {last}.",
)

# %%
final = {arm: h.accuracy[-1] for arm, h in composition_histories.items()}
above = [arm for arm, value in final.items() if value > 0.95]
assert "2-simplicial, 1 layer" in above
assert "dot product, 1 layer" not in above
depth.reveal(depth.options[len(above) - 1])
print("above 0.95:", ", ".join(above))

# %% [markdown]
# Within this budget one dot-product layer stays behind. With a second layer, at the same number of parameters, it catches up. One way to do it: the first layer
# joins arrows that fit, the second looks the answer up. We did not check that the model does that.

# %% [markdown] tags=["slide"]
# ## Five seeds of everything
#
# One run is an anecdote. The record holds five seeds of each task and model, at the better of two learning rates (by the median). Match3 comes from chapter 00
# and has another budget: compare models within a task, not tasks. Among them is the question left open above:

# %% tags=["more"]
more = predict(
    "Parity with two heads of half the width, no MLP. On how many patterns is the dot-product model right?",
    "6 of 8 in every seed",
    "all 8 in some seeds",
    "all 8 in every seed",
)

# %% tags=["slide"]
rows = records.read("chapter02.csv")
tasks, guesses = {}, {}
for (name, arm), config in runs.items():
    tasks.setdefault(name, {})[arm] = records.final(rows, "accuracy", task=name, arm=arm)
    guesses[name] = config.task.guess_accuracy()
rows00, runs00 = records.read("chapter00.csv"), presets.chapter00()
tasks["Match3"] = {arm: records.final(rows00, "accuracy", arm=arm) for arm in runs00}
guesses["Match3"] = Match(order=3, n=12, modulus=23).guess_accuracy()
show_figure(
    plots.task_strips(tasks, guesses),
    "Final accuracy of five seeds for six tasks. The 2-simplicial layer ends above 0.98, on parity between 0.87 and 1. "
    "One dot-product layer ends near 1 on Match2 and majority, at 0.75 on one-headed parity, at 0.75 or 1 on two-headed "
    "parity, and behind on composition and Match3.",
    caption="Records: `results/chapter02.csv`, `results/chapter00.csv`",
)

# %%
spread = tasks["parity, two heads"]["dot product, 1 layer"]
learnt = sum(value > 0.95 for value in spread)
more.reveal(more.options[(learnt > 0) + (learnt == len(spread))])
print(f"parity with two heads, dot product: {learnt} of {len(spread)} seeds above 0.95")

# %% [markdown]
# The 2-simplicial layer is not always perfect either: in some seeds it stops at 7 of 8 patterns.
#
# ## What changes the question
#
# | you add | and a dot-product model can |
# |---|---|
# | a second head | attend to two bits separately; some seeds then learn parity of three bits |
# | an MLP | compute a function of what the heads have brought to *one* position, for example the parity of three bits |
# | a second layer | ask for what the first layer has found: composition |
#
# Match3 stayed hard for both dot-product models of chapter 00: neither one nor two layers learnt it within those tokens. A plausible reason is that nothing
# narrows the partners down in advance.

# %% [markdown] tags=["slide"]
# ## Proved, conjectured, observed
#
# - **Proved** (Sanford et al. 2023): for one layer of dot-product attention that solves Match3 for all inputs of length *N*, the product of dimension, heads and bits of
#   precision grows almost as fast as *N*. Match2 needs no such growth, and one head that scores triples solves Match3.
# - **Conjectured**, by the same authors: that with several layers the size must still grow like a power of *N*. The paper of this course (Roy et al. 2025) writes of
#   exponentially many as if it were shown.
# - **Observed**: what you trained here. At 12 tokens and width 64 the theorem forbids nothing. A model that did not learn within a
#   budget is not a model that cannot.

# %% [markdown]
# ## Quiz
#
# Five questions.

# %%
quiz("02")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - A triple can hold information that none of its pairs holds: exclusive or, Match3.
# - Majority, Match2: sums of edges are enough. As controls they show that a model sees its inputs.
# - Heads, MLPs and layers change what a dot-product model can do. Say which ones a claim is about.
# - A proof speaks about all sizes, an experiment about one budget.
#
# **Now do:** `simplex-lab start 02` copies [exercise 02](../exercises/02_what_pairs_cannot_see.ipynb) to your `work/` folder: a label, a formula, a prediction and a
# broken function. **Next:** [03 Trilinear attention](03_trilinear_attention.ipynb).
#
# **Further reading:** Sanford, Hsu and Telgarsky 2023, *Representational Strengths and Limitations of Transformers*; Kozachinskiy et al. 2025, *Strassen Attention*
# (relation composition); HOMA 2026, arXiv:2603.11133 (parity with majority as control).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
