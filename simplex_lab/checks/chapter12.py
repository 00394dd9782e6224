"""Exercises of chapter 12: tokens to a target, a rate for each arm, the interval of a ratio, a guess line with positions left out."""

from __future__ import annotations

import torch

from simplex_lab import efficiency, tasks
from simplex_lab.checks.ladder import Climb
from simplex_lab.checks.properties import sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake

# --- 12.1 ----------------------------------------------------------------------------------------------------------------


def _number(x) -> torch.Tensor:
    return torch.tensor(float(x), dtype=torch.float64)


def _reach(tokens, accuracy, target, *, hit=torch.ge, pick=lambda hits: hits[0], never=lambda tokens: torch.inf):
    hits = hit(accuracy, target).nonzero().flatten().tolist()
    return _number(tokens[pick(hits)] if hits else never(tokens))


def _for_good(tokens, accuracy, target):
    below = (accuracy < target).nonzero().flatten().tolist()
    start = below[-1] + 1 if below else 0
    return _number(tokens[start] if start < len(tokens) else torch.inf)


def _straight(tokens, accuracy, target):
    """Where the straight line between two evaluations meets the target."""
    hits = (accuracy >= target).nonzero().flatten().tolist()
    if not hits or hits[0] == 0:
        return _number(tokens[0] if hits else torch.inf)
    (a, b), (t, u) = (x[hits[0] - 1 : hits[0] + 1].double() for x in (accuracy, tokens))
    return _number(t + (target - a) / (b - a) * (u - t))


def _run(label, accuracy, every=100, target=0.75):
    return Case(label, {"tokens": every * torch.arange(1, len(accuracy) + 1), "accuracy": torch.tensor(accuracy), "target": target})


UNEVEN = Case(
    "evaluations after 100, 250, 300, 700, 900 tokens; 0.748 misses a target of 0.75",
    {"tokens": torch.tensor([100, 250, 300, 700, 900]), "accuracy": torch.tensor([0.5, 0.748, 0.625, 0.875, 0.8]), "target": 0.75},
)


def _curve(gen, E, first, *, exact=False, best=0.25):
    """Below the target before evaluation ``first``; behind it above and below in turn. All numbers are exact in binary."""
    target, every = 0.6875, 10 * int(torch.randint(1, 50, (1,), generator=gen))
    steps = torch.randint(1, 16, (E,), generator=gen) / 64
    above = torch.rand(E, generator=gen) < 0.5
    above[:first] = False
    above[[first, first + 1, first + 3]] = True
    above[first + 2] = False
    accuracy = target + torch.where(above, steps, -steps)
    accuracy[first + 3] = target + best
    accuracy[first] = target if exact else accuracy[first]
    label = f"{E} evaluations, target {target}" + ", reached exactly" * exact + ", and missed again later"
    return _run(label, accuracy.tolist(), every, target)


def _never(climb: Climb) -> None:
    """Runs that do not get there. The other rungs compare by differences, and two infinities have none."""
    low = 0.7 - torch.rand(12, generator=climb.generator) / 4
    for case in (
        _run("a run of accuracy 0.25, 0.6, 0.5 with target 0.75", [0.25, 0.6, 0.5]),
        _run("12 evaluations, all below 0.75", low.tolist(), 30),
    ):
        value, expected = climb.output("random", case), climb.expected(case)
        if value.item() != torch.inf:
            climb.fail("random", case, value, expected, torch.tensor(True), 0.0)


# --- 12.2 ----------------------------------------------------------------------------------------------------------------


def _choose(needed, *, middle=lambda x: x.median(1).values, diverged=lambda x: x.isnan().any(1)):
    """The first rate with the smallest ``middle``; the ``diverged`` ones come last."""
    return middle(needed).masked_fill(diverged(needed), torch.inf).argmin()


def _axis(needed):
    middle = needed.median(0).values
    return middle.masked_fill(middle.isnan(), torch.inf).argmin()


def _finite_only(needed):
    return needed.masked_fill(needed.isinf(), torch.nan).nanmedian(1).values.nan_to_num(torch.inf)


def _last_of_ties(needed):
    return len(needed) - 1 - _choose(needed.flip(0))


def _rates(gen, seeds, *, tie=False, clean=False):
    """A rate for each way to choose, in random order: the middle of its seeds, its luckiest, its mean, its worst, and so on."""
    m, base, never = seeds // 2, 4 + 4 * torch.rand(1, generator=gen).item(), torch.inf
    best = [base - 0.1 * n for n in range(m + 1)] + [base + 40 if clean else never] * m
    rows = [
        best,
        [base + 1.0] * (seeds - 1) + [base + 4],  # the smallest mean
        [base + 2.5] * seeds,  # the smallest worst seed
        [0.5] + [base + 6] * (seeds - 1),  # the luckiest seed
    ]
    rows += [best] * tie
    if not clean:
        rows += [[base - 1] * m + [never] * (m + 1)]  # the best, if those that never arrived are left out
        # diverged: the best without its NaN, the best with infinity for it, and another
        rows += [[base - low] * m + [base + high] * m + [torch.nan] for low, high in ((3.5, 8), (3, -3), (-8, 8))]
    needed = torch.stack([torch.tensor(r)[torch.randperm(seeds, generator=gen)] for r in rows])
    what = "two are equally good" if tie else "all arrive" if clean else "some runs never arrive, one diverges"
    return Case(f"{len(rows)} rates, {seeds} seeds, {what}", {"needed": needed[torch.randperm(len(rows), generator=gen)]})


NEVER = [[3.0, 4.0, torch.nan], [2.0, torch.inf, 9.0], [5.0, torch.inf, 5.0], [6.0, 6.0, 8.0], [7.0, 7.0, 7.0]]

# --- 12.3 ----------------------------------------------------------------------------------------------------------------


def _median(x):
    return x.median(-1).values


def _mean(x):
    return x.mean(-1)


def _ends(value, ratios, *, tail=0.025, ends=("linear", "linear")):
    low, high = (ratios.quantile(q, interpolation=how) for q, how in zip((tail, 1 - tail), ends, strict=True))
    return torch.stack([value, low, high])


def _ratios(ours, theirs, drawn_ours, drawn_theirs, middle=_median):
    """The ratio, and those of the draws."""
    return middle(ours) / middle(theirs), middle(ours[drawn_ours]) / middle(theirs[drawn_theirs])


def _interval(ours, theirs, drawn_ours, drawn_theirs, **how):
    return _ends(*_ratios(ours, theirs, drawn_ours, drawn_theirs), **how)


def _upside_down(ours, theirs, drawn_ours, drawn_theirs):
    return _interval(theirs, ours, drawn_theirs, drawn_ours)


def _normal(**a):
    value, ratios = _ratios(**a)
    return torch.stack([value, ratios.mean() - 1.96 * ratios.std(), ratios.mean() + 1.96 * ratios.std()])


def _whole_range(**a):
    value, ratios = _ratios(**a)
    return torch.stack([value, ratios.min(), ratios.max()])


def _paired(ours, theirs, drawn_ours, drawn_theirs):
    ratio = ours / theirs
    return _ends(_median(ratio), _median(ratio[drawn_ours]))


def _order(**a):
    value, low, high = _interval(**a)
    return torch.stack([low, value, high])


def _arms(gen, n, draws, other=0):
    other = other or n
    args = {"ours": sharp(gen, n, gain=0.5).exp(), "theirs": 2 * sharp(gen, other, gain=0.5).exp()}
    args |= {f"drawn_{name}": torch.randint(k, (draws, k), generator=gen) for name, k in (("ours", n), ("theirs", other))}
    return Case(f"{n} seeds each, {draws} draws" if n == other else f"{n} seeds against {other}, {draws} draws", args)


# --- 12.4 ----------------------------------------------------------------------------------------------------------------


def _counts(y, lowest=0):
    """How often each label from ``lowest`` on stands at each position: [labels, S]."""
    return torch.stack([(y == label).sum(0) for label in range(lowest, int(y.max()) + 1)]).double()


GAPS = Case(
    "7 sequences of 2 positions, labels 0, 1, 2, 3 and 5",
    {"y": torch.tensor([[0, 0], [0, 5], [0, 5], [1, 5], [2, 0], [2, 5], [1, 3]])},
)


def _labels(gen, B, S, classes, left_out):
    """A position has labels of its own; ``left_out`` is the share of labels that are not asked, different for each position."""
    favourite = torch.randint(classes, (S,), generator=gen)
    y = torch.where(
        torch.rand(B, S, generator=gen) < torch.rand(S, generator=gen), favourite, torch.randint(classes, (B, S), generator=gen)
    )
    y[torch.rand(B, S, generator=gen) < 2 * left_out * torch.rand(S, generator=gen)] = tasks.NO_LABEL
    if left_out:
        y[:, 0] = tasks.NO_LABEL
    y[0, -1] = classes - 1
    return Case(f"y is {B} x {S}, labels below {classes}" + ", position 0 is not asked" * bool(left_out), {"y": y})


EXERCISES = (
    Exercise(
        id="12.1",
        entry="tokens_to_target",
        title="tokens to a target",
        objective="How many tokens does a run need? Those of the first evaluation that reaches the target; infinity if none does.",
        difficulty=1,
        minutes=8,
        arguments=(
            Argument("tokens", "E", "int64", "tokens seen at each of E evaluations, rising"),
            Argument("accuracy", "E", "float", "the accuracy measured there; it may fall again"),
            Argument("target", "", "float", "reached by an accuracy of at least this much"),
        ),
        returns=Argument("needed", "", "a number", "tokens of the first evaluation with `accuracy >= target`, or `math.inf`"),
        hand=_run("7 evaluations", [0.3, 0.75, 0.8, 0.6, 0.78, 0.9, 0.85]),
        cases=lambda gen: [
            UNEVEN,
            _curve(gen, 12, 4),
            _curve(gen, 20, 9, exact=True),
            _run("one evaluation, which reaches the target", [0.8], 640),
            _curve(gen, 9, 0),
            _curve(gen, 60, 31),
        ],
        answer=lambda tokens, accuracy, target: _number(efficiency.tokens_to(target, tokens.tolist(), accuracy.tolist())),
        properties=(_never,),
        question="go along the card's accuracies from the left: which is the first that is at least 0.75, and how many tokens had the run seen there?",
        mistakes=(
            Mistake(
                "budget",
                lambda **a: _reach(**a, never=lambda tokens: tokens[-1]),
                "a run that never gets there is given its last evaluation, the budget: it needs more than that, and nobody knows how much more",
                "which of two runs needs fewer tokens: one that arrives at the end of its budget, or one that is nowhere near it there?",
            ),
            Mistake(
                "first-if-never",
                lambda **a: _reach(**a, never=lambda tokens: tokens[0]),
                "a run that never gets there is given its first evaluation: `argmax` of a tensor without a True is 0",
                "is there an evaluation that reaches the target at all? Ask before you look for the first",
            ),
            Mistake(
                "last-crossing",
                lambda **a: _reach(**a, pick=lambda hits: [h for h in hits if h - 1 not in hits][-1]),
                "this is the last time that the run gets there; it got there before and fell below again in between",
                "how often does the card's run rise to 0.75 from below?",
            ),
            Mistake(
                "last-above",
                lambda **a: _reach(**a, pick=lambda hits: hits[-1]),
                "this is the last evaluation that reaches the target; the first one counts",
                "which end of the run did you look from?",
            ),
            Mistake(
                "for-good",
                _for_good,
                "you wait until the accuracy never falls below again; the first evaluation that reaches the target counts",
                "would you have to know the end of the run to say what it needed?",
            ),
            Mistake(
                "strictly-greater",
                lambda **a: _reach(**a, hit=torch.gt),
                "an accuracy of exactly the target reaches it: at least, not more than",
                "does 0.75 reach a target of 0.75?",
            ),
            Mistake(
                "index",
                lambda tokens, accuracy, target: _reach(torch.arange(len(tokens)), accuracy, target),
                "this is the number of the evaluation; its tokens are asked for",
                "which of the arguments did you not use?",
            ),
            Mistake(
                "equal-steps",
                lambda tokens, accuracy, target: _reach(tokens[0] * torch.arange(1, len(tokens) + 1), accuracy, target),
                "you counted evaluations and multiplied by the tokens of the first: evaluations need not lie at equal distances",
                "which number stands in `tokens` at that evaluation?",
            ),
            Mistake(
                "nearly",
                lambda **a: _reach(**a, hit=lambda accuracy, target: accuracy >= target - 0.01),
                "an accuracy a little below the target counts as reached: is it rounded, or given a margin?",
                "does 0.748 reach a target of 0.75?",
            ),
            Mistake(
                "largest",
                lambda tokens, accuracy, target: _number(tokens[accuracy.argmax()]),
                "these are the tokens where the accuracy is largest; the target may be reached long before",
                "what did you need the target for?",
            ),
            Mistake(
                "straight-line",
                _straight,
                "you drew a line between two evaluations; nobody measured anything in between, and the first evaluation that reaches the target counts",
                "how many values can your result have, if there are E evaluations?",
            ),
        ),
        hints=(
            "Go along the evaluations in their order and stop at the first that is good enough. And if you come to the end?",
            "for each evaluation, in order:\n    if its accuracy is at least the target: its tokens\ninfinity",
            "`reached = tokens[accuracy >= target]`, then `reached[0]` if there is one, else `math.inf`.",
        ),
    ),
    Exercise(
        id="12.2",
        entry="choose_rate",
        title="a learning rate for an arm",
        objective="Each rate was run on the choosing seeds. Which rate needs the fewest tokens, in the median over seeds? A rate at which any run diverged is out.",
        difficulty=2,
        minutes=12,
        arguments=(
            Argument(
                "needed",
                "rates, seeds",
                "float",
                "millions of tokens to the target; infinity: never got there; NaN: the run diverged. An odd number of seeds",
            ),
        ),
        returns=Argument("index", "", "whole number", "of the rate; of equal ones the first. At least one rate has a finite median"),
        hand=Case(
            "5 rates, 3 seeds",
            {"needed": torch.tensor([[12.0, 12.0, 12.0], [2.0, 10.0, 9.0], [4.5, 20.0, 4.5], [5.0, 8.0, 5.0], [7.0, 7.0, 7.0]])},
        ),
        cases=lambda gen: [
            Case("rates [3, 4, nan], [2, inf, 9], [5, inf, 5], [6, 6, 8], [7, 7, 7]", {"needed": torch.tensor(NEVER)}),
            _rates(gen, 3),
            _rates(gen, 5, clean=True),
            _rates(gen, 3, tie=True),
            _rates(gen, 7),
            _rates(gen, 5, tie=True),
            _rates(gen, 5),
        ],
        answer=_choose,
        question="sort the three seeds of each rate of the card. Which rate has the smallest number in the middle?",
        mistakes=(
            Mistake(
                "luckiest-seed",
                lambda needed: _choose(needed, middle=lambda x: x.amin(1)),
                "the rate of the luckiest seed: a rate that is good once and bad otherwise wins",
                "how many seeds of the chosen rate are good?",
            ),
            Mistake(
                "mean",
                lambda needed: _choose(needed, middle=lambda x: x.mean(1)),
                "you took the mean over seeds: one slow run moves it far, and one that never arrives makes it infinite",
                "what is the mean of 5, 5 and infinity, and what is the median?",
            ),
            Mistake(
                "worst-seed",
                lambda needed: _choose(needed, middle=lambda x: x.amax(1)),
                "the rate whose worst seed is best: one unlucky seed rules a rate out",
                "what is the largest of 5, 5 and infinity, and what is the median?",
            ),
            Mistake(
                "wrong-axis",
                _axis,
                "the median runs over the rates, so this is a seed: for each rate, take the median over its seeds",
                "how many medians should there be, and how many have you?",
            ),
            Mistake(
                "nan-skipped",
                lambda needed: _choose(needed, middle=lambda x: x.nanmedian(1).values, diverged=lambda x: x.isnan().all(1)),
                "a run that diverged is left out of the median, and its rate wins with the seeds that are left: the rate is out",
                "would you train at a rate that diverges once in three times?",
            ),
            Mistake(
                "nan-as-infinity",
                lambda needed: _choose(needed.masked_fill(needed.isnan(), torch.inf)),
                "a run that diverged counts like one that never arrives: its rate is out, whatever the other seeds say",
                "would you train at a rate that diverges once in three times?",
            ),
            Mistake(
                "nan-wins",
                lambda needed: needed.median(1).values.argmin(),
                "the rate that diverged wins: `argmin` takes NaN for the smallest number",
                "what does `torch.tensor([1.0, torch.nan]).argmin()` say?",
            ),
            Mistake(
                "never-left-out",
                lambda needed: _choose(needed, middle=_finite_only),
                "runs that never got there are left out of the median: a rate is rewarded for failing",
                "what is the median of 4, infinity and infinity?",
            ),
            Mistake(
                "index-among-the-rest",
                lambda needed: needed[~needed.isnan().any(1)].median(1).values.argmin(),
                "you took the rates that diverged out first, so this index counts the others only",
                "if rate 0 is taken out, which rate has index 0 in what is left?",
            ),
            Mistake(
                "last-of-ties",
                _last_of_ties,
                "of two rates that are equally good you took the last, not the first",
                "does your comparison replace the best so far by one that is no better?",
            ),
            Mistake(
                "median-itself",
                lambda needed: needed.masked_fill(needed.isnan(), torch.inf).median(1).values.min(),
                "this is the smallest median itself; which rate has it?",
                "what does the last row of the card's table ask for?",
            ),
        ),
        hints=(
            "First one number for each rate: the seed in the middle. Then the place of the smallest. What does a rate with a NaN get, so that it never wins?",
            "middle[r] = median over the seeds of rate r\nmiddle[r] = infinity where any seed of r is NaN\nthe first r with the smallest middle",
            "`needed.median(1).values`, then `.masked_fill(needed.isnan().any(1), torch.inf)`, then `.argmin()`.",
        ),
    ),
    Exercise(
        id="12.3",
        entry="ratio_interval",
        title="how sure is a ratio",
        objective="The ratio of two arms, ours over theirs, in medians over seeds, and the middle 95% of the same ratio when each arm's seeds are drawn anew.",
        difficulty=2,
        minutes=15,
        arguments=(
            Argument("ours", "A", "float", "tokens that the seeds of the first arm need; finite, A is odd"),
            Argument("theirs", "B", "float", "those of the second arm; finite, B is odd"),
            Argument("drawn_ours", "draws, A", "int64", "a row is a draw: indices of seeds of ours, with repetitions"),
            Argument("drawn_theirs", "draws, B", "int64", "the same for theirs, drawn independently"),
        ),
        returns=Argument(
            "r",
            "3",
            "that of ours",
            "`[ratio, low, high]`: the ratio of the seeds as they are, and the quantiles 0.025 and 0.975 of the draws' ratios, by `torch.quantile`",
        ),
        hand=Case(
            "3 seeds each, 5 draws",
            {
                "ours": torch.tensor([2.0, 3.0, 8.0]),
                "theirs": torch.tensor([8.0, 4.0, 6.0]),
                "drawn_ours": torch.tensor([[1, 0, 2], [2, 0, 2], [1, 1, 0], [0, 0, 2], [2, 2, 1]]),
                "drawn_theirs": torch.tensor([[1, 1, 2], [0, 2, 0], [1, 0, 0], [0, 0, 1], [1, 2, 1]]),
            },
        ),
        cases=lambda gen: [_arms(gen, *size) for size in ((3, 40), (5, 200), (5, 300, 7), (7, 501), (9, 1000))],
        answer=_interval,
        axes="part",
        question="the card's first draw takes seeds 1, 0, 2 of ours and 1, 1, 2 of theirs: which two medians, and which ratio? There are five such ratios: sort them",
        mistakes=(
            Mistake(
                "quantiles-not-interpolated",
                lambda **a: _interval(**a, ends=("lower", "higher")),
                "an end of the interval is one of the draws: here a quantile between two draws is a point between them, as `torch.quantile` gives it",
                "five sorted ratios are numbered 0 to 4: where is 0.025 of the way from 0 to 4?",
            ),
            Mistake(
                "upside-down",
                _upside_down,
                "the ratio is upside down: below 1 it should say that ours needs fewer tokens",
                "ours needs 3 in the median and theirs 6: is that half or twice?",
            ),
            Mistake(
                "means",
                lambda **a: _ends(*_ratios(**a, middle=_mean)),
                "means where medians should be: one slow seed moves a mean as far as it likes",
                "what do the mean and the median of 2, 3 and 8 become if 8 becomes 80?",
            ),
            Mistake(
                "same-draw",
                lambda ours, theirs, drawn_ours, drawn_theirs: _interval(ours, theirs, drawn_ours, drawn_ours),
                "both arms use drawn_ours: their seeds are drawn independently, and drawn_theirs was never read",
                "which argument does your function not use?",
            ),
            Mistake(
                "theirs-as-they-are",
                lambda ours, theirs, drawn_ours, drawn_theirs: _ends(
                    _median(ours) / _median(theirs), _median(ours[drawn_ours]) / _median(theirs)
                ),
                "only ours is drawn anew: the other arm's seeds are as uncertain",
                "if theirs had other seeds, would its median stay?",
            ),
            Mistake(
                "ours-as-they-are",
                lambda ours, theirs, drawn_ours, drawn_theirs: _ends(
                    _median(ours) / _median(theirs), _median(ours) / _median(theirs[drawn_theirs])
                ),
                "only theirs is drawn anew: our own arm's seeds are as uncertain",
                "if ours had other seeds, would its median stay?",
            ),
            Mistake(
                "whole-range",
                _whole_range,
                "smallest and largest of the draws: with more draws that interval only grows. Cut 2.5% off at either end",
                "what happens to your interval if you draw a million times?",
            ),
            Mistake(
                "normal",
                _normal,
                "mean and 1.96 standard deviations describe a bell curve; ratios of a few seeds are none. Take quantiles of the draws",
                "is the distance from the ratio to both ends the same? Should it be?",
            ),
            Mistake(
                "ninety-per-cent",
                lambda **a: _interval(**a, tail=0.05),
                "5% is cut off at either end: that leaves 90%",
                "which share lies outside of the middle 95%, and how much of it on one side?",
            ),
            Mistake(
                "order",
                _order,
                "the numbers are right and their order is not: the ratio comes first, then the two ends",
                "what does the last row of the card's table list?",
            ),
            Mistake(
                "quartiles",
                lambda **a: _interval(**a, tail=0.25),
                "a quarter is cut off at either end: that leaves the middle half",
                "which share lies outside of the middle 95%, and how much of it on one side?",
            ),
            Mistake(
                "mean-of-the-draws",
                lambda **a: _ends(_ratios(**a)[1].mean(), _ratios(**a)[1]),
                "the first number is the mean of the draws; it should be the ratio of the seeds as they are",
                "does the ratio itself depend on what was drawn?",
            ),
            Mistake(
                "ratio-of-the-draws",
                lambda **a: _ends(_median(_ratios(**a)[1]), _ratios(**a)[1]),
                "the first number is the median of the draws; it should be the ratio of the seeds as they are",
                "does the ratio itself depend on what was drawn?",
            ),
            Mistake(
                "paired",
                _paired,
                "you divided seed by seed: here the arms' seeds are independent, so take the median of each arm first, then the ratio",
                "which seed of theirs belongs to seed 0 of ours, and why?",
            ),
        ),
        hints=(
            "A draw is a row of indices: `ours[drawn_ours]` is [draws, A], a row for each draw. The rest happens to all rows at once.",
            "ratio = median(ours) / median(theirs)\nratios[d] = median of draw d of ours / median of draw d of theirs\nlow, high = quantiles 0.025 and 0.975 of ratios\nthe three in one tensor",
            "`ours[drawn_ours].median(1).values`, the same for theirs, `ratios.quantile(0.025)`, and `torch.stack([ratio, low, high])`.",
        ),
    ),
    Exercise(
        id="12.4",
        entry="position_guess",
        title="the guess line, where not all is asked",
        objective="Accuracy of the best guess that knows the position and nothing else. Unlike in 00.2 there may be more than two labels, and -1 means: nothing is asked here.",
        difficulty=2,
        minutes=12,
        arguments=(Argument("y", "B, S", "int64", "labels 0, 1, ... of B sequences, or -1; at least one is not -1"),),
        returns=Argument("accuracy", "", "a number", "share of the asked labels that this guess gets right"),
        hand=Case(
            "5 sequences of 4 positions",
            {"y": torch.tensor([[-1, -1, 2, 1], [-1, -1, -1, 1], [-1, 2, 2, 1], [-1, -1, 2, 1], [-1, -1, 2, 0]])},
        ),
        cases=lambda gen: [
            GAPS,
            *(
                _labels(gen, *size)
                for size in ((8, 5, 3, 0.4), (5, 8, 2, 0.3), (6, 6, 3, 0.0), (64, 10, 5, 0.5), (1, 4, 2, 0.0), (40, 7, 4, 0.2))
            ),
        ],
        answer=lambda y: _number(tasks.best_guess(y)),
        question="take the card's positions one by one: what do you guess there, and how many labels does that get right? How many labels are asked in all?",
        mistakes=(
            Mistake(
                "one-guess-for-all",
                lambda y: _counts(y).sum(1).max() / (y >= 0).sum(),
                "one label is guessed at all positions; a guess may know its position",
                "would you guess the same at the first and at the last position?",
            ),
            Mistake(
                "minus-one-counts",
                lambda y: _counts(y, -1).amax(0).sum() / y.numel(),
                "-1 is counted like a label: where nothing is asked, nothing can be guessed right",
                "what accuracy would a task get of which hardly anything is asked?",
            ),
            Mistake(
                "minus-one-guessed",
                lambda y: ((y == y.mode(0).values) & (y >= 0)).sum() / (y >= 0).sum(),
                "where -1 is the most frequent entry, -1 is guessed, and that is never right: look for the most frequent label among the asked ones",
                "at position 1 of the card, which label is the best guess?",
            ),
            Mistake(
                "all-in-the-denominator",
                lambda y: _counts(y).amax(0).sum() / y.numel(),
                "you divide by all labels, the ones that are not asked included",
                "what comes out if every asked label is guessed right?",
            ),
            Mistake(
                "mean-of-shares",
                lambda y: (_counts(y).amax(0) / (y >= 0).sum(0))[(y >= 0).any(0)].mean(),
                "you averaged the shares of the positions; a position that is asked often counts more",
                "one position is asked once and another a hundred times: do both count the same?",
            ),
            Mistake(
                "mean-of-all-shares",
                lambda y: (_counts(y).amax(0) / (y >= 0).sum(0).clamp(min=1)).mean(),
                "you averaged the shares of the positions, with 0 where nothing is asked: count labels instead",
                "at position 0 of the card nothing is asked: may it lower the accuracy?",
            ),
            Mistake(
                "two-labels",
                lambda y: _counts(y)[:2].amax(0).sum() / (y >= 0).sum(),
                "only 0 and 1 are counted; here a label may be larger",
                "what is the most frequent label at position 1 of the card?",
            ),
            Mistake(
                "labels-that-occur",
                lambda y: torch.stack([(y == c).sum(0) for c in range(len(y.unique()))]).double().amax(0).sum() / (y >= 0).sum(),
                "you counted as many labels as occur; where one is left out, the largest is not among them",
                "which labels are there if only 0 and 5 occur?",
            ),
            Mistake(
                "middle-label",
                lambda y: sum(float((c[c >= 0] == c[c >= 0].median()).sum()) for c in y.T if (c >= 0).any()) / float((y >= 0).sum()),
                "you guess the median label; labels are names, and the most frequent one is right most often",
                "what do you guess where 0 stands three times and 1 and 2 twice each?",
            ),
            Mistake(
                "whole-columns",
                lambda y: (
                    _counts(y[:, (y >= 0).all(0)]).amax(0).sum() / (y >= 0).all(0).sum() / len(y) if (y >= 0).all(0).any() else _number(0)
                ),
                "you left out every position at which some sequence is not asked; the others are asked there",
                "how many labels of position 2 of the card are asked?",
            ),
            Mistake(
                "one-over-classes",
                lambda y: _number(1 / (int(y.max()) + 1)),
                "one over the number of labels is what a coin gets; the best guess knows which label is frequent",
                "if a position has the same label in every sequence, how often is the best guess right there?",
            ),
            Mistake(
                "by-sequence",
                lambda y: _counts(y.T).amax(0).sum() / (y >= 0).sum(),
                "you took the most frequent label of each sequence; a guess knows the position, not the other labels of the sequence",
                "over which axis do you count?",
            ),
        ),
        hints=(
            "For each position, count each label over the sequences. The best guess there gets the largest count right.",
            "count[c, s] = how often label c stands at position s\nright = sum over s of the largest count[c, s]\nright / number of labels that are not -1",
            "`torch.stack([(y == c).sum(0) for c in range(y.max() + 1)])`, then `.amax(0).sum()`; `(y >= 0).sum()` are asked.",
        ),
    ),
)
