# %% [markdown] tags=["slide"]
# # 00 Start here
#
# After this chapter you can
#
# - say what a 2-simplicial attention layer looks at that a dot-product layer does not,
# - read a comparison of two models: same tokens, same parameters, the score of a mere guess, several seeds,
# - tell whether this machine is ready for the rest of the course.
#
# Run the cells from top to bottom with Shift+Enter. The whole chapter takes about 45 minutes to study and less than two to run.

# %% [markdown]
# ## Is everything in place?
#
# One line for each thing the course needs. `OK` needs nothing from you, `WARN` says what will be slower or missing, `FAIL` says what to do
# first.

# %% tags=["nbval-ignore-output"]
from simplex_lab.doctor import doctor

_ = doctor()

# %%
from statistics import median

import torch

from simplex_lab import plots, presets, records
from simplex_lab.explorers import match3_explorer
from simplex_lab.model import parameter_count
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source
from simplex_lab.tasks import match3_labels
from simplex_lab.train import train_with_bar

plots.style()

# %% [markdown] tags=["slide"]
# ## Edges and triangles
#
# Attention gives every token *i* a score for other tokens, and mixes their values by these scores. The only question is what a score
# is about.

# %% tags=["more"]
show_figure(
    plots.edge_and_triangle(),
    "Left: tokens i and j joined by an edge, with one dot-product score. "
    "Right: tokens i, j and k as corners of a filled triangle with one score.",
)

# %% [markdown]
# On the left, a score for a pair: the query of *i* times the key of *j*, channel by channel, summed. On the right, a score for a
# triple: the query of *i* times a first key of *j* times a second key of *k*.
#
# An edge is a 1-simplex, a filled triangle a 2-simplex. Hence the name: **2-simplicial attention** (Clift et al. 2019; Roy et al. 2025, the
# paper this course follows, [arXiv:2507.02754](https://arxiv.org/abs/2507.02754)).

# %% [markdown] tags=["slide"]
# ## A game for triples
#
# Here is a game called Match3. You get a row of whole numbers from 0 to 22. The label of position *i* is 1 when two **earlier** tokens exist, at two
# different positions, such that the three numbers add up to a multiple of 23.
#
# Five numbers, small enough for your head:

# %% tags=["more"]
x = torch.tensor([[5, 9, 1, 13, 9]])
predict_last = predict(
    "x = 5, 9, 1, 13, 9. What is the label of the last token, the second 9?", "0", "1"
)

# %%
labels = match3_labels(x, modulus=23)[0].int().tolist()
predict_last.reveal(str(labels[-1]))
print("labels:", labels)

# %% [markdown]
# The last 9 finds partners twice: 9 + 9 + 5 = 23, and 9 + 1 + 13 = 23. Either pair would do. Positions 0 and 1 can only have label 0: there
# are no two tokens before them.
#
# You had to try pairs. With 11 earlier tokens there are 55 pairs to try. Move the slider and watch the triangles.

# %% tags=["slide"]
task = presets.chapter00()["2-simplicial, 1 layer"].task
match3_explorer(task)

# %% [markdown]
# A dot-product layer scores one earlier token at a time. To find a pair, it would have to know what the second token is while it looks at
# the first. A 2-simplicial layer scores the pair.
#
# That is an argument about how the layers are built. Whether it matters for learning is a question for an experiment. So let us run one.

# %% [markdown] tags=["slide"]
# ## Three models, one budget
#
# Three small models see the same sequences in the same order. Two use dot products, with one and two layers. One uses a single
# 2-simplicial layer. A 2-simplicial layer has five projections where a dot-product layer has three, so the widths of the MLPs are chosen to
# make the totals equal.

# %%
arms = presets.chapter00(seed=0)
for arm, config in arms.items():
    size = f"{parameter_count(config.model):,} parameters  {config.tokens:,} tokens"
    print(f"{arm:22s}  {size}  learning rate {config.lr}")

# %% [markdown]
# The three contestants are called arms. Each arm has its own learning rate: the best of four, tried with five seeds each. That grid is recorded in `results/chapter00_rates.csv`. A
# comparison where one arm gets the other's learning rate says little.
#
# This is what the whole preset looks like:

# %% tags=["more"]
show_source(presets.chapter00)

# %% [markdown]
# Before you look: what can you score without looking at the tokens at all? Late positions have many pairs, so their label is mostly 1.
# Early ones have few, so it is mostly 0.

# %% tags=["slide"]
guess = task.guess_accuracy()
print(f"accuracy of the best guess from the position alone: {guess:.3f}")
question = (
    f"After {config.tokens:,} tokens, how far above that guess is the best dot-product model?"
)
winner = predict(question, "less than 0.05", "0.05 to 0.10", "more than 0.10")

# %% [markdown]
# Now the training, live. It takes about half a minute. One thread is enough for models this small.

# %% tags=["nbval-ignore-output"]
torch.set_num_threads(1)
histories = {arm: train_with_bar(arm, config) for arm, config in arms.items()}

# %% tags=["nbval-ignore-output", "slide"]
curves = {arm: [(h.tokens, h.accuracy)] for arm, h in histories.items()}
final = ", ".join(f"{arm} {h.accuracy[-1]:.2f}" for arm, h in histories.items())
show_figure(
    plots.accuracy_curves(curves, guess),
    f"Accuracy against training tokens for three models. At the end: {final}; guess {guess:.2f}.",
)

# %%
simplicial = histories["2-simplicial, 1 layer"].accuracy[-1]
best_dot = max(h.accuracy[-1] for arm, h in histories.items() if arm.startswith("dot"))
assert simplicial > best_dot + 0.10, (simplicial, best_dot)
gap = best_dot - guess
winner.reveal(winner.options[(gap >= 0.05) + (gap >= 0.10)])
print("The 2-simplicial layer ends more than 0.10 above the best dot-product model.")

# %% [markdown]
# The dot-product models learn the positions, which is where the dashed line lies, and little else. The purple curve leaves the line
# within the first fifth of the tokens.
#
# One seed is an anecdote. Here are five, run by `simplex-lab train --preset chapter00`:

# %% tags=["slide"]
rows = records.read("chapter00.csv")
last = {arm: records.final(rows, "accuracy", arm=arm) for arm in arms}
spans = "; ".join(f"{arm} {min(v):.3f} to {max(v):.3f}" for arm, v in last.items())
show_figure(
    plots.seed_strip(last, guess),
    f"Final accuracy of five seeds: {spans}.",
    caption="Record: `results/chapter00.csv`",
)

# %% [markdown] tags=["slide"]
# ## What it cost
#
# Equal tokens and equal parameters are not equal work. A 2-simplicial layer scores every pair (j, k) for every query, so at length 12 it
# computes 12 times as many scores as a dot-product layer, masked ones included. What did that cost in time?

# %% tags=["more"]
seconds = {arm: median(records.final(rows, "training time", arm=arm)) for arm in arms}
for arm, value in seconds.items():
    ratio = value / seconds["dot product, 1 layer"]
    print(f"{arm:22s}  {value:5.1f} s  {ratio:.1f} times the one-layer dot-product model")

# %% [markdown]
# So the purple curve is bought with compute. The paper's claim is about **tokens**: when data runs out before compute does, a model that learns
# more from each token is worth its price. Windows and fast kernels bring the price down, and most of this course is about them.
#
# Nor does the gain carry over to every task. In the paper, the smallest model with 2-simplicial layers, 1B active parameters, was slightly worse than its
# Transformer on three tasks of four (Roy et al. 2025, table 2). Chapters 12 and 13 look at that with care.

# %% [markdown] tags=["slide"]
# ## The way through
#
# | chapters | you build | runs on |
# |---|---|---|
# | 00 to 03 | dot-product and trilinear attention in plain PyTorch | any laptop |
# | 04 to 06 | positions, windows, the online softmax over pairs | any laptop |
# | 07 to 10 | the Triton kernels, forward and backward, and their speed | Linux; CPU by interpreter, or a GPU |
# | 11 to 13 | a small 2-simplicial model, token efficiency, scaling laws | any laptop |

# %% [markdown]
# ## Quiz
#
# Five questions. Every option has its own answer, so wrong ones are worth a click too.

# %%
quiz("00")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - A dot-product score belongs to a pair of tokens, a 2-simplicial score to a triple.
# - On a task made of triples, one 2-simplicial layer learnt what dot-product models of equal size did not learn within the same tokens.
# - That is an observation about these models within this budget. It proves nothing about what dot products can represent.
# - It cost more time per token.
#
# **Next:** [01 Dot-product attention](01_dot_product_attention.ipynb). [Exercise 00](../exercises/00_start_here.ipynb) has four short
# warm-ups.
#
# **Further reading:** Sanford, Hsu and Telgarsky 2023, *Representational Strengths and Limitations of Transformers*, where Match2 and Match3 come
# from; Clift, Doryn, Murfet and Wallbridge 2019, *Logic and the 2-Simplicial Transformer*.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
