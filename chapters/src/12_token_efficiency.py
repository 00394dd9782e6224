# %% [markdown] tags=["slide"]
# # 12 Token efficiency
#
# After this chapter you can
#
# - measure how many tokens a model needs, and put an interval on a ratio of two,
# - name four ways in which such a comparison goes wrong, and show each on recorded runs,
# - say where triples win, where they tie, what they cost, and what nobody has shown.

# %%
from dataclasses import replace
from statistics import mean, median

import torch

from simplex_lab import efficiency, efficiency_plots, experiments, plots, records, verdicts
from simplex_lab.explorers import learning_explorer
from simplex_lab.model import ModelConfig, flops_per_token, match_parameters, parameter_count
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source
from simplex_lab.tasks import FunctionComposition
from simplex_lab.train import TrainConfig, train_with_bar

plots.style()

# %% [markdown] tags=["slide"]
# ## One picture
#
# Eleven tasks, planned before these runs, after a few probes. For each the tokens that a model with 2-simplicial layers needed to reach 97% of right answers, over those that the best model of dot products needed: equal parameters, five seeds, intervals of 95%. Left of the line triples need fewer. Match and sums you know; *relations* and *functions* ask for two steps in a row, *one hop* for one of them; *code* is Python source, byte by byte.

# %% tags=["more"]
table = verdicts.table()
show_figure(
    efficiency_plots.verdicts(table),
    "Ratio of tokens for each task, with its interval: "
    + "; ".join(
        f"{t}: {'not run yet' if v is None else f'{v.tokens.value:.2f}, {v.word}'}"
        for t, v in table.items()
    ),
    caption="results/choosing.csv, efficiency.csv, fine.csv; planned in results/plan.md",
)

# %% [markdown]
# What is not run yet says so: the [plan](../results/plan.md) is public, and a cell that is planned is reported, whatever it says. The rest of the chapter is about what one such dot means.

# %% [markdown] tags=["slide"]
# ## By hand: how many tokens?
#
# A run is evaluated now and then. It *needs* the tokens of the first evaluation that reaches the target. Three seeds, in millions; the third never got there within 9:

# %% tags=["more"]
never = predict(
    "Seeds need 4, 6, and more than 9 million tokens. What does the arm need in the median?",
    "5 million",
    "6 million",
    "6.3 million",
)

# %%
inf = float("inf")
print("mean:", mean([4, 6, inf]), " mean with 9 for never:", round(mean([4, 6, 9]), 1))
print("median:", median([4, 6, inf]))
never.reveal("6 million")

# %% [markdown]
# A run that never arrives does not need "9 million": it needs more than anybody paid for. Infinity says so, and a median can live with it as long as fewer than half of the seeds fail. A mean cannot. And leaving the failure out would reward an arm for failing.
#
# Now a second arm that needs 2, 2 and 3. The ratio of medians is 2 / 6. How sure is a third, with three seeds each? Draw the seeds anew, with replacement, within each arm. (Where the draw has *never* in its middle, 2 over infinity is 0.)

# %%
gen = torch.Generator().manual_seed(1)
ours, theirs = torch.tensor([2.0, 2.0, 3.0]), torch.tensor([4.0, 6.0, inf])
for _ in range(5):
    a, b = (x[torch.randint(3, (3,), generator=gen)] for x in (ours, theirs))
    print(f"{a.tolist()} over {b.tolist()}: {(a.median() / b.median()).item():.2f}")

# %% [markdown]
# Ten thousand such draws, and the middle 95% of them:

# %%
r = efficiency.ratio(ours.tolist(), theirs.tolist())
print(f"{r.value:.2f}, from {r.low:.2f} to {r.high:.2f}: {r.verdict()}")
show_source(efficiency.ratio)

# %% [markdown]
# With so few seeds the interval is rough: it can only combine what was seen. Read it as "the seeds at hand do not contradict a ratio in here". A task counts as won only if the whole interval lies below 1. By that rule this one is won, on three seeds of which one failed: a rule does not replace looking at the seeds.

# %% [markdown] tags=["slide"]
# ## First trap: whose learning rate?
#
# Each arm was run at four rates, on seeds that serve for choosing alone: the rate of an arm, and which 2-simplicial and which dot-product arm make up a ratio. Match3, tokens to 97% in millions, median of three seeds:

# %%
choosing, rows, _ = verdicts.recorded()
scores = experiments.scores(choosing)
print(" " * 30, *(f"{lr:>7g}" for lr in experiments.RATES))
for arm in experiments.ARMS:
    told = (scores["Match3", arm][lr][0] / 1e6 for lr in experiments.RATES)
    print(f"{arm:30s}", *(f"{t:7.2f}" for t in told))

# %% tags=["more"]
flattered = predict(
    "2-simplicial, 1 layer, over dot product, 4 layers, both at one rate. The largest of the four ratios over the smallest?",
    "less than 1.1",
    "1.3 to 2",
    "about 10",
)

# %%
ours, theirs = (scores["Match3", arm] for arm in ("2-simplicial, 1 layer", "dot product, 4 layers"))
for lr in experiments.RATES:
    print(f"both at {lr:g}: {ours[lr][0] / theirs[lr][0]:.2f}")
best = min(ours.values())[0] / min(theirs.values())[0]
print(f"each at its best: {best:.2f}")
span = [ours[lr][0] / theirs[lr][0] for lr in experiments.RATES]
flattered.reveal("1.3 to 2" if max(span) > 1.3 * min(span) else "less than 1.1")

# %% [markdown]
# So each arm has its own rate. It is chosen on seeds 100 to 102, and the reported seeds are 0 to 4: choosing on the reported ones would let luck pick the rate, and pick more of it where more rates were tried. Some arms chose the largest rate there was, 0.004; a larger one might have served them better.

# %% [markdown] tags=["slide"]
# ## Second trap: compared with what?
#
# Triples against a dot product of *one* layer win by a lot on Match3. But a second layer of dot products costs nothing extra if its weights are taken from the MLP. All five arms, equal in parameters:

# %% tags=["more"]
show_figure(
    efficiency_plots.needed(
        verdicts.needed(rows, "Match3", "dot product, 4 layers"),
        experiments.TASKS["Match3"].steps * 256 * 12,
    ),
    "Tokens to 97% on Match3 for every seed of five arms. One layer of dot products needs most, four layers less than half of it, "
    "and both 2-simplicial arms least.",
    caption="results/efficiency.csv, evaluated every 50 steps",
)

# %% [markdown]
# These runs say 0.40, and the first picture said 0.32. They were evaluated every 50 steps, as planned, and an arm that is done after three or four evaluations is measured badly. So, *after* these results were known, the arms of each ratio were run again with an evaluation every 10 steps. Both are recorded. Where the finer runs are complete, tables use them.

# %% [markdown]
# Sanford et al. proved that one layer of dot products needs a width or precision that grows with the length to solve Match3 (chapter 02). Here it does solve it: sequences are short and its MLP is wide. A theorem about growing sizes is no statement about twelve tokens.

# %% [markdown] tags=["slide"]
# ## Third trap: equal in what?
#
# Parameters are equal within one per cent. Work is not, and time is not:

# %% tags=["more"]
for arm, layers in experiments.ARMS.items():
    config = experiments.run("Match3", layers, 1e-3, 0).model
    seconds = median(verdicts.per_seed(rows, "Match3", "training time").get(arm, [float("nan")]))
    print(
        f"{arm:30s} {parameter_count(config):,} parameters, MLP {config.hidden:4d} wide, "
        f"{flops_per_token(config) / 1e6:.2f} MFLOPs a token, {seconds:.1f} s"
    )

# %% [markdown]
# The seconds are a run's share of five that trained together on one H200. Sequences are short, so triples cost few FLOPs more. In seconds one layer of triples takes twice those of one layer of dot products, and a quarter more than four of them: FLOPs are not seconds. Where tokens are scarce, compare tokens. Where time is, compare seconds.

# %% [markdown] tags=["slide"]
# ## Fourth trap: no control
#
# Perhaps an arm is simply the better learner, triples or not. Each task has a control that pairs decide: Match2, a sum of two, one hop instead of two. If the *same two* models differ there by as much, triples are not the reason.

# %% tags=["more"]
for task in ("Match3", "relations", "functions"):
    v, control = table[task], verdicts.of_the_task(task, *verdicts.recorded())
    print(f"{v.ours} over {v.theirs}")
    for c in (v, control):
        low, high = c.tokens.low, c.tokens.high
        print(f"  {c.task:19s} {c.tokens.value:.2f}, from {low:.2f} to {high:.2f}  {c.word}")

# %% [markdown]
# On functions the control speaks for triples: the arm that gains there takes *more* tokens over one hop. On Match3 it is undecided. A control is learned at once; evaluated every 50 steps, both arms need one or two evaluations, and a ratio can only be 0.5, 1 or 2. "0.5, from 0.5 to 1" may be four layers being slow to start. The finer runs of these pairs are still to come.
#
# The first picture has for each control its *own* best arms, as planned. There no control is won.

# %% [markdown] tags=["slide"]
# ## All curves
#
# Choose a task. Thin lines are seeds, thick ones medians. Cut the budget, and see who would have won an evaluation at a fixed number of tokens.

# %% tags=["more"]
learning_explorer()

# %% [markdown] tags=["slide"]
# ## One comparison, live
#
# Function composition in small: four values of f and four of g in random order, then queries *x*. What is *g(f(x))*? Answering takes a triple: the query, a value of f and a value of g. Two layers of dot products can also do it in two hops. Equal parameters, two seeds each, one rate that nobody chose for either; about half a minute. Another machine rounds otherwise, and may move a run by an evaluation or two.

# %% tags=["more"]
task = FunctionComposition(4, 4)
triple = ModelConfig(
    task.vocabulary, task.n, ("simplicial",), width=64, heads=2, hidden=128, classes=4
)
hops = match_parameters(replace(triple, layers=("dot", "dot")), parameter_count(triple))
config = TrainConfig(triple, task, steps=200, batch=128, lr=6e-3, eval_every=10, eval_sequences=512)
likely = predict(
    "The 2-simplicial layer needs, in units of the two layers' tokens,",
    "a quarter or less",
    "half to nine tenths",
    "as many or more",
)

# %% tags=["nbval-ignore-output"]
torch.set_num_threads(1)
live = {}
for name, model in (("one of triples", triple), ("two of dot products", hops)):
    for seed in (0, 1):
        h = train_with_bar(name, replace(config, model=model, seed=seed))
        live.setdefault(name, []).append(efficiency.tokens_to(0.97, h.tokens, h.accuracy))

    print(f"{name}: {', '.join(f'{t:,.0f}' for t in live[name])} tokens")
found = efficiency.ratio(live["one of triples"], live["two of dot products"])
print(f"ratio {found.value:.2f}, from {found.low:.2f} to {found.high:.2f}")

# %%
at = 0 if found.value <= 0.25 else 1 if 0.5 <= found.value <= 0.9 else 2
likely.reveal(likely.options[at])

# %% [markdown]
# A genuine triple, and a modest gain: two layers compose well. That a task has triples in it does not say by how much triples help. What a stack of pairs can do as well has to be tried.

# %% [markdown] tags=["slide"]
# ## The table
#
# Everything that is recorded so far, by the rules above. *FLOPs* and *seconds* are the ratio of tokens times that of the FLOPs, or seconds, that a token costs each arm.

# %% tags=["more"]
print(verdicts.as_text(table))

# %% [markdown]
# What to make of it. On Match3 triples need a third of the tokens, on functions two thirds; on relations they gain nothing, though two hops are a triple, too. We had expected a quarter on Match3 and on relations, and controls that tie. Earlier probes, with equal *widths*, had seen a quarter or less on Match3 and about half on relations, the latter with one seed. With equal parameters and for each arm a rate of its own, this much of it is left.

# %% [markdown] tags=["slide"]
# ## Where does the layer stand?
#
# "Every 4th layer" leaves open where to begin. Two layers on Match3, one 2-simplicial, below or above a dot product. Token embeddings start with a standard deviation of 1, as PyTorch's do, or of 0.02, as in GPT-2. Five seeds, 0.6 million tokens, one rate.

# %% tags=["more"]
stands = predict(
    "With small embeddings, where does the 2-simplicial layer fail to learn?",
    "below",
    "above",
    "in both places",
)


# %% tags=["slide"]
def ends(preset):
    rows = records.read(f"{preset}.csv")
    arms = dict.fromkeys(row["config"]["arm"] for row in rows)
    return {verdicts.short(arm): records.final(rows, "accuracy", arm=arm) for arm in arms}


guess = experiments.TASKS["Match3"].task.guess_accuracy()
stands.reveal("above")
show_figure(
    efficiency_plots.final_accuracies(ends("probe_places"), guess),
    "Final accuracy of five seeds for ten arms. With large embeddings the layer learns below and above; with small ones it learns "
    "below, more slowly, and stays at the guess line above; skip, norm and value bias change nothing.",
    caption="results/probe_places.csv",
)

# %% [markdown] tags=["slide"]
# ## A guess, written down, and wrong
#
# A small embedding hurts everywhere, the dot-product model too; above it leaves nothing. Why there?
#
# Our guess: what a layer adds to the stream (the vector of a position that all layers read and add to) has a size of its own. If tokens are small beside it, the layer above reads mixtures of tokens, and a product of three mixtures holds the product of three tokens as one term among very many. "Tokens are drowned."

# %% [markdown]
# Then only the *ratio* of the embedding to what a part adds can matter. So shrink the residuals, too: embedding 0.02, and everything that parts add times 0.02. Or leave the embedding at 1, and multiply it by 0.02 in every step.

# %% tags=["more"]
drowned = predict(
    "If tokens are drowned, who learns?",
    "embedding of 0.02 with residuals of 0.02",
    "embedding of 1 times 0.02",
    "both",
)

# %%
print("If the guess is right:")
drowned.reveal("embedding of 0.02 with residuals of 0.02")

# %% [markdown]
# So says the guess: the first learns, since its tokens are as large beside the layers as in the model that learned; the second does not. This was written into the plan before the runs. And the runs say:

# %% tags=["slide"]
show_figure(
    efficiency_plots.final_accuracies(ends("probe_drowned"), guess),
    "Final accuracy of five seeds for six ways to make tokens small or large beside what layers add. Only the model that starts at 1, "
    "untouched, learns; all others end below 0.9.",
    caption="results/probe_drowned.csv; predictions in results/plan.md",
)

# %% [markdown]
# It does not learn. (Rows three and four are one model, and so are five and six: every part norms what it reads, so a stream times a number is the same function. They agree but for rounding, which is how one sees that nothing was mixed up.)

# %% [markdown]
# So the ratio to the layers is not all. Two other things were small in row three: tokens beside *positions*, which start at 0.02, too; and weights beside a step of the optimiser. A step of AdamW is about as large as the learning rate, here 0.002, whatever the gradient: it changes 0.02 by a tenth at once. Three more arms tell these apart. In the first, tokens and positions both start at 1.

# %% tags=["slide"]
show_figure(
    efficiency_plots.final_accuracies(ends("probe_positions"), guess),
    "Final accuracy of five seeds for three arms: positions as large as tokens end between 0.86 and 0.92, small positions with the "
    "stream scaled up near 0.98, small positions without at 0.85.",
    caption="results/probe_positions.csv",
)

# %% [markdown]
# Positions it is. As large as tokens they cost most of the gain, and weights that start small do no harm once positions are smaller still. Where positions are small, but tokens are small beside what layers add, most of the gain is gone, too.
#
# What stands now: above other layers, tokens must be large beside positions *and* beside what the layers below add. An embedding of 0.02 with positions of 0.02, as in our probe, spoils the first, and layers of the usual size the second. Whether that holds for four and eight layers, and on tasks that were not used to find it, is for runs that are planned and not recorded yet.

# %% [markdown] tags=["slide"]
# ## What has not been shown
#
# These are small models on tasks that were built to hold triples or to hold none. Nothing here says what a language model would do. An earlier probe with two seeds saw a tie on bytes of Python. And one group that trained 330 million parameters found exact windowed 2-simplicial layers the worst of its arms on web text, at equal FLOPs ([arXiv:2608.09307](https://arxiv.org/abs/2608.09307)).

# %% [markdown]
# ## Quiz

# %%
quiz("12")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - Tokens to a target, infinity for never, medians over seeds, and an interval for the ratio.
# - Each arm its own rate, chosen on other seeds. The best rival, not the nearest. A control.
# - Say what is equal, and give the price of a token beside their number.
# - A task with triples in it is not yet a task on which triples win.
#
# **Now do:** `simplex-lab start 12` copies [exercise 12](../exercises/12_token_efficiency.ipynb) to your `work/` folder.
#
# **Further reading:** Sanford et al. 2023, [arXiv:2306.02896](https://arxiv.org/abs/2306.02896); Kozachinskiy et al. 2025, *Strassen attention*, [arXiv:2501.19215](https://arxiv.org/abs/2501.19215); Efron and Tibshirani 1993, *An Introduction to the Bootstrap*.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
