"""Exercises of chapter 00: partners counted, the guess line, how many scores a layer computes, a comparison that flatters."""

from __future__ import annotations

import itertools

import torch

from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake


def _partners(x, modulus, pairs=lambda i: itertools.combinations(range(i), 2), hit=lambda total, modulus: total % modulus == 0):
    values = x.tolist()
    return torch.tensor([sum(hit(values[i] + values[j] + values[k], modulus) for j, k in pairs(i)) for i in range(len(values))])


def _tokens(gen, n, modulus):
    return Case(f"n={n}, modulus={modulus}", {"x": torch.randint(modulus, (n,), generator=gen), "modulus": modulus})


def _guess(y, best=lambda p: torch.maximum(p, 1 - p).mean()):
    return best(y.double().mean(0))


def _labels(gen, B, n):
    rates = torch.rand(n, generator=gen)
    return Case(f"y is {B} x {n}", {"y": (torch.rand(B, n, generator=gen) < rates).long()})


def _scores(S, pairs=lambda i: i + 1, triples=lambda i: (i + 1) ** 2):
    return torch.tensor([sum(map(pairs, range(S))), sum(map(triples, range(S)))])


def _wins(first, second, margin, count=lambda a, b, m: (a >= b + m).sum()):
    return count(first, second, margin).long()


def _seeds(gen, n, gap, margin):
    first = 0.7 + 0.2 * torch.rand(n, generator=gen, dtype=torch.float64) + gap
    second = 0.7 + 0.2 * torch.rand(n, generator=gen, dtype=torch.float64)
    return Case(f"{n} seeds, margin={margin}", {"first": first, "second": second, "margin": margin})


# 0.75 and 0.5 are exact in binary: the lead is the margin and not a bit less
TIE = Case(
    "a lead of exactly the margin",
    {"first": torch.tensor([0.75, 0.5], dtype=torch.float64), "second": torch.tensor([0.5, 0.5], dtype=torch.float64), "margin": 0.25},
)

EXERCISES = (
    Exercise(
        id="00.1",
        entry="partners",
        title="partners of a token",
        objective="For every position, the number of pairs of earlier tokens that make the sum with it a multiple of the modulus.",
        difficulty=1,
        minutes=8,
        arguments=(Argument("x", "n", "int64", "tokens below the modulus"), Argument("modulus", "", "int", "at least 2")),
        returns=Argument("count", "n", "whole numbers", "pairs `j < k < i` with `x_i + x_j + x_k` a multiple of the modulus"),
        hand=Case("x = 5, 9, 1, 13, 9, modulus = 23", {"x": torch.tensor([5, 9, 1, 13, 9]), "modulus": 23}),
        cases=lambda gen: [_tokens(gen, *size) for size in ((9, 5), (12, 7), (15, 4), (2, 3))],
        answer=_partners,
        axes="i",
        question="the last 9 has two pairs: which? How often does your loop meet each of them?",
        mistakes=(
            Mistake(
                "twice",
                lambda x, modulus: _partners(x, modulus, lambda i: itertools.permutations(range(i), 2)),
                "every pair is counted twice, as (j, k) and as (k, j)",
                "how many pairs can you form from two earlier tokens?",
            ),
            Mistake(
                "repeats",
                lambda x, modulus: _partners(x, modulus, lambda i: itertools.combinations_with_replacement(range(i), 2)),
                "a token is paired with itself: j and k are two different positions",
                "how many pairs does position 1 have?",
            ),
            Mistake(
                "itself",
                lambda x, modulus: _partners(x, modulus, lambda i: itertools.combinations(range(i + 1), 2)),
                "the token is its own partner: j and k come before i",
                "which tokens are earlier than position 0?",
            ),
            Mistake(
                "equals",
                lambda x, modulus: _partners(x, modulus, hit=lambda total, modulus: total == modulus),
                "the sum must be a multiple of the modulus, so 0 and twice the modulus count as well",
                "what is 20 + 13 + 13 with modulus 23?",
            ),
        ),
        hints=(
            "For position i, run over all j < k < i.",
            "count[i] = sum((x[i] + x[j] + x[k]) % modulus == 0 for k < i for j < k)",
            "`itertools.combinations(range(i), 2)` gives the pairs. `x.tolist()` makes plain numbers of them.",
        ),
    ),
    Exercise(
        id="00.2",
        entry="guess_line",
        title="the guess line (derive)",
        objective="The accuracy of the best guess that knows the position and nothing else. It is the dashed line of the chapter's figures.",
        difficulty=1,
        minutes=8,
        arguments=(Argument("y", "B, n", "int64", "labels 0 or 1 of B sequences"),),
        returns=Argument("accuracy", "", "float64", "share of the labels that this guess gets right"),
        hand=Case("4 sequences of 3 labels", {"y": torch.tensor([[0, 1, 1], [0, 0, 1], [0, 1, 1], [0, 1, 0]])}),
        cases=lambda gen: [_labels(gen, *size) for size in ((20, 6), (7, 11), (64, 3), (1, 5))],
        answer=_guess,
        question="at position 1, three labels of four are 1. What would you guess there, and how often would you be right?",
        mistakes=(
            Mistake(
                "one-guess-for-all",
                lambda y: _guess(y, lambda p: torch.maximum(p.mean(), 1 - p.mean())),
                "one guess is used for all positions; early and late positions have different labels",
                "would you guess the same at the first and at the last position?",
            ),
            Mistake(
                "always-one",
                lambda y: _guess(y, lambda p: p.mean()),
                "this is the share of ones: where ones are rare, guess 0",
                "what do you guess at a position where no label is 1?",
            ),
            Mistake(
                "best-position",
                lambda y: _guess(y, lambda p: torch.maximum(p, 1 - p).max()),
                "this is the accuracy at the easiest position; average over all of them",
                "at how many positions does the guess score so well?",
            ),
        ),
        hints=(
            "First the share of ones at each position: an average over the sequences.",
            "At a position with share p the better guess is right with max(p, 1 - p).",
            "`y.double().mean(0)` is the share; `torch.maximum(p, 1 - p).mean()` the answer.",
        ),
    ),
    Exercise(
        id="00.3",
        entry="scores",
        title="how many scores (predict)",
        objective="How many scores does one causal head compute for a sequence of S tokens, dot product and 2-simplicial? Guess for S = 12 before you compute.",
        difficulty=1,
        minutes=8,
        arguments=(Argument("S", "", "int", "tokens"),),
        returns=Argument(
            "counts",
            "2",
            "a tensor of whole numbers",
            "`[pairs (i, j), triples (i, j, k)]` with j and k not later than i; j may be k, and both may be i",
        ),
        hand=Case("S=3", {"S": 3}),
        cases=lambda gen: [Case(f"S={S}", {"S": S}) for S in (1, 2, 12, 100)],
        answer=_scores,
        axes="kind",
        question="write down the pairs (j, k) that query 1 scores: there are four. Which do you leave out or add?",
        mistakes=(
            Mistake(
                "not-causal",
                lambda S: _scores(S, lambda i: S, lambda i: S * S),
                "the future is scored, too: query i sees i + 1 tokens, itself included",
                "how many tokens does the first query see?",
            ),
            Mistake(
                "unordered",
                lambda S: _scores(S, triples=lambda i: (i + 1) * (i + 2) // 2),
                "(j, k) and (k, j) are two scores: j uses the first key, k the second",
                "is the score of (0, 1) the score of (1, 0)?",
            ),
            Mistake(
                "without-itself",
                lambda S: _scores(S, lambda i: i, lambda i: i * i),
                "the query's own position is visible as well",
                "what does the first query see?",
            ),
        ),
        hints=(
            "Query i sees i + 1 tokens.",
            "It scores i + 1 pairs (i, j), and (i + 1) ** 2 triples (i, j, k).",
            "Add both up over i from 0 to S - 1.",
        ),
    ),
    Exercise(
        id="00.4",
        entry="wins",
        title="a comparison that flatters (debug)",
        objective="The function above should say in how many seeds the first model ends at least `margin` above the second. It is too kind. Write it anew.",
        difficulty=1,
        minutes=10,
        arguments=(
            Argument("first", "seeds", "float64", "final accuracies of the first model"),
            Argument("second", "seeds", "float64", "those of the second, seed by seed on the same data"),
            Argument("margin", "", "float", "how far above it must be"),
        ),
        returns=Argument("count", "", "whole number", "a number from 0 to the number of seeds"),
        hand=Case(
            "five seeds, margin=0.1",
            {
                "first": torch.tensor([0.96, 0.68, 0.92, 0.81, 0.70], dtype=torch.float64),
                "second": torch.tensor([0.88, 0.87, 0.60, 0.92, 0.62], dtype=torch.float64),
                "margin": 0.1,
            },
        ),
        cases=lambda gen: (
            [_seeds(gen, *size) for size in ((5, 0.1, 0.1), (7, 0.05, 0.08), (5, 0.0, 0.0), (9, 0.3, 0.1), (40, 0.08, 0.1))] + [TIE]
        ),
        answer=_wins,
        question="compare the seeds of the first example one by one, with your own eyes. In which of them is the first model clearly better?",
        mistakes=(
            Mistake(
                "as-given",
                lambda **a: _wins(**a, count=lambda x, y, m: (x >= y.min() + m).sum()),
                "still as given: every seed of the first is held against the worst seed of the second",
                "which seed of the second saw the same data?",
            ),
            Mistake(
                "against-the-mean",
                lambda **a: _wins(**a, count=lambda x, y, m: (x >= y.mean() + m).sum()),
                "the first is held against an average: compare seed with seed, since they saw the same data",
                "what happens to the comparison if one seed of the second is very bad?",
            ),
            Mistake(
                "sorted",
                lambda **a: _wins(**a, count=lambda x, y, m: (x.sort().values >= y.sort().values + m).sum()),
                "the best is compared with the best and the worst with the worst: seeds belong together by their data",
                "which seed of the second does the first seed of the first belong to?",
            ),
            Mistake(
                "relative-margin",
                lambda **a: _wins(**a, count=lambda x, y, m: (x >= y * (1 + m)).sum()),
                "the margin is taken as a share of the second's accuracy; it is a difference",
                "is 0.70 at least 0.1 above 0.62?",
            ),
            Mistake(
                "more-than-the-margin",
                lambda **a: _wins(**a, count=lambda x, y, m: (x > y + m).sum()),
                "a lead of exactly the margin counts: at least, not more than",
                "0.75 against 0.5 with a margin of 0.25: does it count?",
            ),
            Mistake(
                "either-way",
                lambda **a: _wins(**a, count=lambda x, y, m: ((x - y).abs() >= m).sum()),
                "seeds in which the second is far above count as well",
                "who wins with 0.68 against 0.87?",
            ),
            Mistake(
                "no-margin",
                lambda **a: _wins(**a, count=lambda x, y, m: (x > y).sum()),
                "any lead counts: the margin is not used",
                "is 0.80 at least 0.1 above 0.75?",
            ),
        ),
        hints=(
            "Position s of both tensors is seed s.",
            "count the seeds with first >= second + margin",
            "`(first >= second + margin).sum()`",
        ),
    ),
)
