# %% [markdown]
# # Exercise 12: token efficiency
#
# Four pieces of a fair comparison. They belong to [chapter 12](../chapters/12_token_efficiency.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example.
#
# Work in your own copy: `simplex-lab start 12` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it.
# <!-- /exercise -->
# <!-- solution -->
# These are the answers, with the reason for each, common mistakes, and what a pass does not prove. Try the exercise first.
# <!-- /solution -->

# %% [markdown]
# ## Set-up
#
# Run this cell first.

# %%
import math

import torch

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 12.1 -->


# %%
def tokens_to_target(tokens, accuracy, target):
    """Tokens at the first evaluation that reaches the target."""
    ### BEGIN SOLUTION
    reached = tokens[accuracy >= target]
    return reached[0] if len(reached) else math.inf
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("12.1", tokens_to_target)

# %% [markdown] tags=["solution"]
# **Why.** The first evaluation that reaches the target is where you could have stopped. A run that never does needs more than its budget, and infinity says no more than that.
#
# **Common mistakes.** The budget for a run that failed, which makes failing cheap. `argmax` of a tensor without a True, which is 0. The last crossing, which punishes a curve for being rough.
#
# **What a pass does not prove.** That the number is exact: the target may have been reached at any time since the evaluation before.

# %% [markdown]
# <!-- card 12.2 -->


# %%
def choose_rate(needed):
    """Index of the rate with the smallest median over seeds."""
    ### BEGIN SOLUTION
    middle = needed.median(1).values
    return middle.masked_fill(needed.isnan().any(1), torch.inf).argmin()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("12.2", choose_rate)

# %% [markdown] tags=["solution"]
# **Why.** A median can live with infinity as long as most seeds arrive. A run that diverged is a warning about the rate, so the rate is out.
#
# **Common mistakes.** The luckiest seed. A mean, which one failure makes infinite. `argmin` over a NaN, which it takes for the smallest.
#
# **What a pass does not prove.** That the choice is fair: every arm needs the same rates to choose from, and seeds that are not reported later. And where no rate gets there in the median, something else must decide; `experiments.chosen` goes by how the runs ended.

# %% [markdown]
# <!-- card 12.3 -->


# %%
def ratio_interval(ours, theirs, drawn_ours, drawn_theirs):
    """The ratio of medians, and the middle 95% of its bootstrap draws."""
    ### BEGIN SOLUTION
    ratio = ours.median() / theirs.median()
    ratios = ours[drawn_ours].median(1).values / theirs[drawn_theirs].median(1).values
    return torch.stack([ratio, ratios.quantile(0.025), ratios.quantile(0.975)])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("12.3", ratio_interval)

# %% [markdown] tags=["solution"]
# **Why.** Drawing seeds anew, with repetitions, imitates running the experiment again. How far the ratio moves then is how sure you can be of it.
#
# **Common mistakes.** One draw for both arms, or one arm that is not drawn. Mean and standard deviation. The whole range, which grows with every draw.
#
# **What a pass does not prove.** What to do with infinity. A point between a number and infinity is infinite, so `efficiency.ratio` takes the next draw outwards instead of interpolating. Nor that five seeds are enough: a draw can only repeat what was seen.

# %% [markdown]
# <!-- card 12.4 -->


# %%
def position_guess(y):
    """Accuracy of the best guess from the position alone."""
    ### BEGIN SOLUTION
    counts = torch.stack([(y == label).sum(0) for label in range(int(y.max()) + 1)])
    return counts.amax(0).sum() / (y >= 0).sum()
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("12.4", position_guess)

# %% [markdown] tags=["solution"]
# **Why.** At each position the best guess is the most frequent label, and it gets exactly that many right. Right ones over asked ones is how the accuracy of a model is counted, so the two can be compared.
#
# **Common mistakes.** -1 counted as a label: a task of which little is asked would look nearly solved. An average of the positions' shares, although some are asked more often.
#
# **What a pass does not prove.** That a model above the line uses triples. A target must also lie above what pairs can do, and the control is there to show that.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
