"""Exercises of chapter 02: Match3 labels, the cosine of a sum, parity by voting, a broken composition of relations."""

from __future__ import annotations

import itertools
import math

import torch

from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.tasks import match3_partners


def _match3(x, modulus, allowed=lambda i, j, k: j < k < i, hit=lambda total, modulus: total % modulus == 0):
    n, values = len(x), x.tolist()
    found = [
        any(allowed(i, j, k) and hit(values[i] + values[j] + values[k], modulus) for j, k in itertools.product(range(n), repeat=2))
        for i in range(n)
    ]
    return torch.tensor(found, dtype=torch.int64)


def _tokens(gen, n, modulus):
    return Case(f"n={n}, modulus={modulus}", {"x": torch.randint(modulus, (n,), generator=gen), "modulus": modulus})


def _coefficients(order, sign=lambda sines: (1.0, 0.0, -1.0, 0.0)[sines % 4]):
    signs = [sign(sum(which)) for which in itertools.product((0, 1), repeat=order)]
    return torch.tensor(signs, dtype=torch.float64).view((2,) * order)


def _vote(span, flips=(False, True), weight=math.comb):
    weights = [weight(span, ones) for ones in range(span + 1)]
    right = [
        sum(w for ones, w in enumerate(weights) if ((ones > cut) != flip) == (ones % 2 == 1))
        for cut in range(-1, span + 1)
        for flip in flips
    ]
    return torch.tensor(max(right) / sum(weights), dtype=torch.float64)


def _there(arrows, elements):
    there = torch.zeros(elements, elements, dtype=torch.float64)
    for a, b in arrows.tolist():
        there[a, b] = 1
    return there


def _paths(arrows, elements, combine=lambda R: R @ R):
    return (combine(_there(arrows, elements)) > 0).long()


def _closure(R):
    total, step = R.clone(), R
    for _ in range(len(R)):
        step = ((step @ R) > 0).double()
        total = total + step
    return total


def _graph(gen, elements, arrows):
    pairs = torch.randint(elements, (arrows, 2), generator=gen)
    return Case(f"elements={elements}, {arrows} arrows", {"arrows": pairs, "elements": elements})


SPANS = tuple({"span": span} for span in (5, 7, 9, 1))

EXERCISES = (
    Exercise(
        id="02.1",
        entry="match3",
        title="labels of Match3",
        objective="The Match3 label of every position: 1 where two earlier tokens, at two different positions, make the sum a multiple of the modulus.",
        difficulty=1,
        minutes=10,
        arguments=(Argument("x", "n", "int64", "tokens below the modulus"), Argument("modulus", "", "int", "M, at least 2")),
        returns=Argument("y", "n", "whole numbers", "0 or 1"),
        hand=Case("x = 5, 9, 1, 13, 9, modulus = 23", {"x": torch.tensor([5, 9, 1, 13, 9]), "modulus": 23}),
        cases=lambda gen: [_tokens(gen, *size) for size in ((9, 11), (12, 23), (17, 37), (6, 3), (2, 5))],
        answer=_match3,
        axes="i",
        question="for the first position that is wrong, write down all pairs j < k < i. Which of them add up to a multiple?",
        mistakes=(
            Mistake(
                "repeats",
                lambda x, modulus: _match3(x, modulus, lambda i, j, k: j < i and k < i),
                "a pair may not use one token twice: j and k must be different positions",
                "what is the label of position 1?",
            ),
            Mistake(
                "itself",
                lambda x, modulus: _match3(x, modulus, lambda i, j, k: j < k <= i),
                "the query counts as its own partner: both partners must be earlier than i",
                "how many earlier tokens has position 1?",
            ),
            Mistake(
                "anywhere",
                lambda x, modulus: _match3(x, modulus, lambda i, j, k: len({i, j, k}) == 3),
                "partners are taken from the future, too: only j < i and k < i count",
                "what can position 0 see?",
            ),
            Mistake(
                "distinct-values",
                lambda x, modulus: _match3(x, modulus, lambda i, j, k: j < k < i and x[j] != x[k]),
                "two tokens with the same value are two tokens: positions must differ, values need not",
                "what is the label of the last token in 5, 5, 13 with modulus 23?",
            ),
            Mistake(
                "counted",
                lambda x, modulus: torch.tensor([len(match3_partners(x, i, modulus)) for i in range(len(x))]),
                "this is the number of pairs; the label is 1 if there is any",
                "what is the label of a token with two pairs?",
            ),
            Mistake(
                "equals",
                lambda x, modulus: _match3(x, modulus, hit=lambda total, modulus: total == modulus),
                "the sum must be a multiple of the modulus, so 0 and twice the modulus count as well",
                "what is 20 + 13 + 13 with modulus 23?",
            ),
        ),
        hints=(
            "For position i, try all pairs j < k among range(i).",
            "for i: y[i] = any((x[i] + x[j] + x[k]) % modulus == 0 for all k < i and j < k)",
            "`torch.tensor([...])` of Python's True and False has dtype bool: `.long()` makes it int64.",
        ),
    ),
    Exercise(
        id="02.2",
        entry="coefficients",
        title="the cosine of a sum (derive)",
        objective="Expand `cos(t_1 + ... + t_order)` into products of one factor for each angle, `cos t` or `sin t`, and return the sign of each product: 1, -1, or 0 if it does not occur. "
        "For order 3 these are the products that a trilinear form adds up.",
        difficulty=2,
        minutes=15,
        arguments=(Argument("order", "", "int", "number of angles, at least 1"),),
        returns=Argument("c", "2, ..., 2", "float64", "`c[u, v, ...]` belongs to `f_u(t_1) f_v(t_2) ...` with `f_0 = cos`, `f_1 = sin`"),
        hand=Case("order=2", {"order": 2}),
        cases=lambda gen: [Case(f"order={n}", {"order": n}) for n in (1, 3, 4, 5)],
        answer=_coefficients,
        question="cos(a + b) = cos a cos b - sin a sin b. Write a = a1 + a2 and expand once more: how many sines are in each product?",
        mistakes=(
            Mistake(
                "sine",
                lambda order: _coefficients(order, lambda sines: (0.0, 1.0, 0.0, -1.0)[sines % 4]),
                "these are the products of sin(t_1 + t_2 + ...): those with an odd number of sines",
                "what is cos(0 + 0), and which product gives it?",
            ),
            Mistake(
                "no-minus",
                lambda order: _coefficients(order, lambda sines: float(sines % 2 == 0)),
                "the signs are missing: two sines come with a minus",
                "what is cos(a + a) for a = 90 degrees?",
            ),
            Mistake(
                "always-minus",
                lambda order: _coefficients(order, lambda sines: (1.0 if sines == 0 else -1.0) if sines % 2 == 0 else 0.0),
                "four sines make two minus signs, which is a plus",
                "what is the cosine of four right angles?",
            ),
        ),
        hints=(
            "Only products with an even number of sines appear.",
            "Each pair of sines brings one minus: the sign is (-1) ** (number of sines // 2).",
            "`itertools.product((0, 1), repeat=order)` runs over the indices in the order of `view((2,) * order)`.",
        ),
    ),
    Exercise(
        id="02.3",
        entry="best_vote",
        title="parity by voting (predict)",
        objective="A rule that only counts: say 1 if more than `cut` of the bits are 1, or the opposite. On what share of all `2 ** span` patterns can the best such rule "
        "agree with the parity? Guess for longer and longer spans: does the share go to 1, to 3/4 or to 1/2?",
        difficulty=2,
        minutes=15,
        arguments=(Argument("span", "", "int", "number of bits, odd"),),
        returns=Argument("share", "", "float64", "a number between 0 and 1"),
        hand=Case("span=3", {"span": 3}),
        cases=lambda gen: [Case(f"span={c['span']}", c) for c in SPANS],
        answer=_vote,
        question="of three bits: how many patterns have 0, 1, 2 and 3 ones? Try all cuts on these four groups.",
        mistakes=(
            Mistake(
                "one-direction",
                lambda span: _vote(span, flips=(False,)),
                "the opposite rule is allowed as well: 1 if at most `cut` bits are 1",
                "for three bits, which rule gets one 1 and two 1s right?",
            ),
            Mistake(
                "groups-not-patterns",
                lambda span: _vote(span, weight=lambda span, ones: 1),
                "patterns count, not numbers of ones: two of five bits can be 1 in ten ways",
                "how many of the 32 patterns of five bits have two ones?",
            ),
            Mistake(
                "coin",
                lambda span: torch.tensor(0.5, dtype=torch.float64),
                "a vote does better than a coin: the two largest groups lie side by side and have different parity",
                "can one cut get both middle groups right?",
            ),
        ),
        hints=(
            "Group the patterns by their number of ones: `math.comb(span, ones)` of them have it.",
            "for each cut from -1 to span and both directions: add up the groups for which the rule says ones % 2",
            "The share is the best of these sums over 2 ** span.",
        ),
    ),
    Exercise(
        id="02.4",
        entry="composed",
        title="a broken composition (debug)",
        objective="The function above is right for some graphs and wrong for others. Find what it computes instead, and write it anew, mended.",
        difficulty=2,
        minutes=10,
        arguments=(
            Argument("arrows", "m, 2", "int64", "`(a, b)` for an arrow from a to b; the same arrow may come twice"),
            Argument("elements", "", "int", "how many things there are"),
        ),
        returns=Argument(
            "reached",
            "elements, elements",
            "whole numbers",
            "1 at `(x, y)` if there is a z with arrows from x to z and from z to y; x, y and z need not differ, an arrow may be a loop",
        ),
        hand=Case("arrows 0 to 1, 1 to 2, 0 to 2", {"arrows": torch.tensor([[0, 1], [1, 2], [0, 2]]), "elements": 3}),
        cases=lambda gen: [_graph(gen, *size) for size in ((4, 6), (5, 8), (6, 6), (3, 1), (8, 20))],
        answer=_paths,
        axes="x y",
        question="draw the graph of the smallest failing case. Which two arrows does the function put together?",
        mistakes=(
            Mistake(
                "as-given",
                lambda **a: _paths(**a, combine=lambda R: R @ R.T),
                "that is still the broken one: it asks whether x and y point to the same z",
                "in which direction does the second arrow run?",
            ),
            Mistake(
                "common-source",
                lambda **a: _paths(**a, combine=lambda R: R.T @ R),
                "it asks whether some z points to both x and y",
                "in which direction does the first arrow run?",
            ),
            Mistake(
                "backwards",
                lambda **a: _paths(**a, combine=lambda R: (R @ R).T),
                "x and y are exchanged: the path runs from x to y",
                "which index of `there[a, b]` is the start of an arrow?",
            ),
            Mistake(
                "any-length",
                lambda **a: _paths(**a, combine=_closure),
                "paths of other lengths count as well: exactly two arrows are asked",
                "is an arrow from x to y a path of two arrows?",
            ),
            Mistake(
                "one-or-two-steps",
                lambda **a: _paths(**a, combine=lambda R: R + R @ R),
                "the arrows themselves count as well: exactly two arrows are asked",
                "is an arrow from x to y a path of two arrows?",
            ),
            Mistake(
                "one-step",
                lambda **a: _paths(**a, combine=lambda R: R),
                "these are the arrows themselves",
                "where does z come in?",
            ),
        ),
        hints=(
            "Write the sum that the matrix product computes, with its indices: which index is summed, and where does it stand in each factor?",
            "sum over z of there[x, z] * there[z, y]",
            "`there @ there`: the summed index is the second of the first factor and the first of the second.",
        ),
    ),
)
