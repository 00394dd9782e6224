"""Exercises of chapter 04: cross products of chunks, determinant logits, rotations by position, how sharp the built head must be."""

from __future__ import annotations

import math

import torch

from simplex_lab import reference
from simplex_lab.checks.properties import sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.rotations import rotate_by_position


def _chunks(x):
    return x.view(*x.shape[:-1], -1, 3)


def _cross(a, b):
    return torch.linalg.cross(_chunks(a), _chunks(b)).reshape(a.shape)


def _logits(q, k1, k2):
    return reference.determinant_logits(*(x[None, :, None] for x in (q, k1, k2)), scale=1.0)[0, 0]


def _sarrus(q, k1, k2, sign=-1.0, minus=True):
    turn = [c - c % 3 + (c % 3 + 1) % 3 for c in range(q.shape[1])]
    back = [c - c % 3 + (c % 3 + 2) % 3 for c in range(q.shape[1])]
    plus = torch.einsum("id,jd,kd->ijk", q, k1[:, turn], k2[:, back])
    return plus + sign * torch.einsum("id,jd,kd->ijk", q, k1[:, back], k2[:, turn]) if minus else plus


def _first_chunk(q, k1, k2):
    return _logits(q[:, :3], k1[:, :3], k2[:, :3])


def _rotate(x, rates, **changed):
    return rotate_by_position(x[None, :, None], changed.get("rates", rates), changed.get("positions"))[0, :, 0]


def _about_first(x, rates):
    rolled = _chunks(x).roll(-1, -1).reshape(x.shape)
    return _chunks(_rotate(rolled, rates)).roll(1, -1).reshape(x.shape)


def _apart(x):
    """Chunks of channels that lie a third of the row apart, as ``[S, D]`` with neighbours."""
    return x.reshape(len(x), 3, -1).transpose(1, 2).reshape(x.shape)


def _together(x):
    """The way back."""
    return x.reshape(len(x), -1, 3).transpose(1, 2).reshape(x.shape)


def _overwritten(x, rates):
    angle = torch.arange(len(x), dtype=x.dtype)[:, None] * rates
    a, b, c = _chunks(x).unbind(-1)
    a = a * angle.cos() - b * angle.sin()
    return torch.stack([a, a * angle.sin() + b * angle.cos(), c], -1).reshape(x.shape)


def _number(x):
    return torch.tensor(float(x), dtype=torch.float64)


def _triples(gen, S, D):
    return Case(f"S={S}, D={D}", {n: sharp(gen, S, D) for n in ("q", "k1", "k2")})


HAND = {
    "q": torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]]),
    "k1": torch.tensor([[0.0, 1.0, 4.0], [2.0, 0.0, 1.0]]),
    "k2": torch.tensor([[5.0, 6.0, 0.0], [1.0, 1.0, 1.0]]),
}

EXERCISES = (
    Exercise(
        id="04.1",
        entry="cross_chunks",
        title="cross products, chunk by chunk",
        objective="For two lists of vectors the cross product of each pair of chunks: channels 0 to 2 with 0 to 2, 3 to 5 with 3 to 5, and so on.",
        difficulty=1,
        minutes=10,
        arguments=(
            Argument("a", "S, D", "float", "D is a multiple of 3"),
            Argument("b", "S, D", "float", "the other factor, row by row"),
        ),
        returns=Argument("c", "S, D", "that of a", "`(a2 b3 - a3 b2, a3 b1 - a1 b3, a1 b2 - a2 b1)` in each chunk"),
        hand=Case("S=1, D=3", {"a": torch.tensor([[1.0, 2.0, 3.0]]), "b": torch.tensor([[0.0, 1.0, 4.0]])}),
        cases=lambda gen: [Case(f"S={S}, D={D}", {"a": sharp(gen, S, D), "b": sharp(gen, S, D)}) for S, D in ((1, 3), (4, 6), (7, 12))],
        answer=_cross,
        axes="row d",
        question="compute the third channel of the card by hand: a1 b2 - a2 b1",
        mistakes=(
            Mistake(
                "swapped",
                lambda a, b: _cross(b, a),
                "that is b x a: the order decides the sign",
                "what is a x b for a = (1,0,0), b = (0,1,0)?",
            ),
            Mistake(
                "plain-product",
                lambda a, b: a * b,
                "you multiplied channel by channel; a cross product mixes the channels of a chunk",
                "which channels of a and b make the first channel of the result?",
            ),
            Mistake(
                "half",
                lambda a, b: (_chunks(a).roll(-1, -1) * _chunks(b).roll(1, -1)).reshape(a.shape),
                "the second half is missing: each channel is a difference of two products",
                "what is the cross product of a vector with itself?",
            ),
            Mistake(
                "middle-sign",
                lambda a, b: (_chunks(_cross(a, b)) * torch.tensor([1, -1, 1], dtype=a.dtype)).reshape(a.shape),
                "the middle channel has the wrong sign: it is a3 b1 - a1 b3",
                "which channel follows the third, going round?",
            ),
            Mistake(
                "chunks-apart",
                lambda a, b: _together(_cross(_apart(a), _apart(b))),
                "you took channels 0, D/3 and 2 D/3 for a chunk; a chunk is three neighbours",
                "which channels make the second chunk when D = 6?",
            ),
            Mistake(
                "grouped-output",
                lambda a, b: _together(_cross(a, b)),
                "the numbers are right and lie in another order: first the first channels of all chunks, then the second ones",
                "do you join the three channels with cat or with stack?",
            ),
        ),
        hints=(
            "View the last axis as [D / 3, 3]; there is a function for the rest.",
            "a, b as [S, D / 3, 3]\ncross product over the last axis\nback to [S, D]",
            "`torch.linalg.cross(a.view(S, -1, 3), b.view(S, -1, 3)).reshape(S, D)`; `reshape` also reads strided inputs.",
        ),
    ),
    Exercise(
        id="04.2",
        entry="determinant_logits",
        title="determinant logits",
        objective="`A_ijk`: the sum over chunks of det[q_i, k1_j, k2_k], without a scale.",
        difficulty=2,
        minutes=15,
        arguments=tuple(
            Argument(n, "S, D", "float", what)
            for n, what in (("q", "queries; D is a multiple of 3"), ("k1", "first keys, index j"), ("k2", "second keys, index k"))
        ),
        returns=Argument("A", "S, S, S", "that of q", "index order i, j, k"),
        hand=Case("S=2, D=3", HAND),
        cases=lambda gen: [_triples(gen, S, D) for S, D in ((1, 3), (4, 6), (6, 9))],
        answer=_logits,
        axes="i j k",
        question="A[0, 0, 0] of the card: what is q x k1, and what is its product with k2?",
        mistakes=(
            Mistake(
                "trilinear",
                lambda q, k1, k2: torch.einsum("id,jd,kd->ijk", q, k1, k2),
                "that is the trilinear form: no channel meets another one",
                "what should A be when q and k1 are parallel?",
            ),
            Mistake(
                "sum-for-difference",
                lambda q, k1, k2: _sarrus(q, k1, k2, sign=1.0),
                "the two triple products are subtracted, not added",
                "a determinant with two equal rows is 0. Is yours?",
            ),
            Mistake(
                "half",
                lambda q, k1, k2: _sarrus(q, k1, k2, minus=False),
                "only one of the two triple products is there",
                "a determinant with two equal rows is 0. Is yours?",
            ),
            Mistake(
                "swapped-keys",
                lambda q, k1, k2: -_logits(q, k1, k2),
                "the sign is the other way round: two of the three vectors have traded places",
                "in which order do q, k1 and k2 stand in the determinant?",
            ),
            Mistake(
                "first-chunk-only",
                _first_chunk,
                "only the first chunk is counted",
                "how many chunks does D = 6 have?",
            ),
            Mistake(
                "scaled",
                lambda q, k1, k2: _logits(q, k1, k2) / math.sqrt(2 * q.shape[1]),
                "the numbers are right up to a factor: no scale here",
                "what does the objective say about the scale?",
            ),
            Mistake(
                "scaled-like-a-dot-product",
                lambda q, k1, k2: _logits(q, k1, k2) / math.sqrt(q.shape[1]),
                "the numbers are right up to a factor: no scale here",
                "what does the objective say about the scale?",
            ),
            Mistake(
                "transposed",
                lambda q, k1, k2: _logits(q, k1, k2).transpose(1, 2),
                "the second and third index have traded places: j counts first keys and comes before k",
                "what is A[0, 0, 1] of the card?",
            ),
            Mistake(
                "exchanged-keys",
                lambda q, k1, k2: _logits(q, k2, k1),
                "k1 and k2 have traded places: j counts first keys, k second ones",
                "which of the two does your second index count?",
            ),
            Mistake(
                "chunks-apart",
                lambda q, k1, k2: _logits(_apart(q), _apart(k1), _apart(k2)),
                "you took channels 0, D/3 and 2 D/3 for a chunk; a chunk is three neighbours",
                "which channels make the second chunk when D = 6?",
            ),
        ),
        hints=(
            "det[q, k1, k2] = (q x k1) . k2. You have cross products from 04.1, for single rows.",
            "cross product of every q_i with every k1_j: [S, S, D]\nthen a sum over d with k2_k",
            'with `c = torch.linalg.cross(q.reshape(S, 1, -1, 3), k1.reshape(1, S, -1, 3))`, then `torch.einsum("ijd,kd->ijk", c.flatten(2), k2)`.',
        ),
    ),
    Exercise(
        id="04.3",
        entry="rotate",
        title="turn by position",
        objective="Turn each chunk of the row at position t by `t * rate` around its third axis: (x, y, z) becomes (x cos - y sin, x sin + y cos, z).",
        difficulty=2,
        minutes=15,
        arguments=(
            Argument("x", "S, D", "float", "D is a multiple of 3"),
            Argument("rates", "D / 3", "float", "radians for each step, one for each chunk"),
        ),
        returns=Argument("turned", "S, D", "that of x", "row 0 unchanged"),
        hand=Case(
            "S=2, D=3, a quarter turn",
            {"x": torch.tensor([[1.0, 0.0, 5.0], [1.0, 2.0, 5.0]]), "rates": torch.tensor([math.pi / 2])},
        ),
        cases=lambda gen: [
            Case(f"S={S}, D={D}", {"x": sharp(gen, S, D), "rates": torch.rand(D // 3, generator=gen) + 0.1})
            for S, D in ((1, 3), (5, 6), (9, 12))
        ],
        answer=_rotate,
        axes="position d",
        question="a quarter turn takes (1, 2, 5) to where?",
        mistakes=(
            Mistake(
                "backwards",
                lambda x, rates: _rotate(x, -rates),
                "it turns the other way: check the signs of the two sines",
                "a quarter turn takes (1, 0) to (0, 1). Where does yours take it?",
            ),
            Mistake(
                "degrees",
                lambda x, rates: _rotate(x, rates * math.pi / 180),
                "the rates are in radians, you read them as degrees",
                "is pi / 2 a quarter turn in your code?",
            ),
            Mistake(
                "from-one",
                lambda x, rates: _rotate(x, rates, positions=torch.arange(len(x)) + 1),
                "positions start at 0: row 0 is not turned",
                "what is t for the first row?",
            ),
            Mistake(
                "about-the-first-axis",
                _about_first,
                "it turns around the first axis: the third channel of a chunk has to stay",
                "which channel of the card keeps its 5?",
            ),
            Mistake(
                "one-rate",
                lambda x, rates: _rotate(x, rates[:1].expand(len(rates))),
                "every chunk has a rate of its own",
                "which rate belongs to channels 3 to 5?",
            ),
            Mistake(
                "overwritten",
                _overwritten,
                "the new y is computed from the x that is turned already",
                "which x does `x sin + y cos` mean?",
            ),
            Mistake(
                "no-position",
                lambda x, rates: _rotate(x, rates, positions=torch.ones(len(x), dtype=torch.long)),
                "all rows are turned by the same angle: it is position times rate",
                "by how much is row 0 turned?",
            ),
            Mistake(
                "chunks-apart",
                lambda x, rates: _together(_rotate(_apart(x), rates)),
                "you took channels 0, D/3 and 2 D/3 for a chunk; a chunk is three neighbours",
                "which channels make the second chunk when D = 6?",
            ),
            Mistake(
                "grouped-output",
                lambda x, rates: _together(_rotate(x, rates)),
                "the numbers are right and lie in another order: first the first channels of all chunks, then the second ones",
                "do you join the three channels with cat or with stack?",
            ),
        ),
        hints=(
            "Split the last axis into [D / 3, 3]. The angle of position t and chunk l is t * rates[l], a matrix [S, D / 3].",
            "angle = positions[:, None] * rates[None, :]\nx, y, z = the three channels of every chunk\nnew x = x cos - y sin, new y = x sin + y cos, z stays",
            "`x.reshape(S, -1, 3).unbind(-1)` gives the three; `torch.stack([...], -1).reshape(S, D)` brings them back.",
        ),
    ),
    Exercise(
        id="04.4",
        entry="sharpness",
        title="how sharp must it be? (derive)",
        objective="The smallest c for which n² wrong pairs, each at least `2 c sin(pi / M)²` below the blank, weigh together less than the given share of the blank.",
        difficulty=3,
        minutes=20,
        arguments=(
            Argument("n", "", "int", "tokens; there are n² pairs"),
            Argument("M", "", "int", "the modulus"),
            Argument("share", "", "float", "for z < 1/4 it is 1/3"),
        ),
        returns=Argument("c", "", "a number", "the bound, not 1.5 times it"),
        hand=Case("n=10, M=6, share=1/3", {"n": 10, "M": 6, "share": 1 / 3}),
        cases=lambda gen: [
            Case(f"n={n}, M={M}, share={s:.2f}", {"n": n, "M": M, "share": s}) for n, M, s in ((2, 3, 1 / 3), (20, 97, 1 / 3), (7, 23, 0.5))
        ],
        answer=lambda n, M, share: _number((2 * math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M) ** 2)),
        question="write n² exp(-2 c sin²) = share and take logarithms: what stands on the left?",
        mistakes=(
            Mistake(
                "one-wrong-pair",
                lambda n, M, share: _number(-math.log(share) / (2 * math.sin(math.pi / M) ** 2)),
                "that is enough against one wrong pair; there may be n² of them",
                "where does n enter?",
            ),
            Mistake(
                "n-pairs",
                lambda n, M, share: _number((math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M) ** 2)),
                "n tokens make n² pairs: the logarithm of n² is 2 log n",
                "how many pairs do 3 tokens make, repeats allowed?",
            ),
            Mistake(
                "whole-angle",
                lambda n, M, share: _number((2 * math.log(n) - math.log(share)) / (2 * math.sin(2 * math.pi / M) ** 2)),
                "the sine of the whole angle: 1 - cos(2 pi / M) is 2 sin(pi / M)²",
                "which identity turns 1 - cos into a square?",
            ),
            Mistake(
                "share-upside-down",
                lambda n, M, share: _number((2 * math.log(n) + math.log(share)) / (2 * math.sin(math.pi / M) ** 2)),
                "a smaller share must ask for a larger c, yours asks for a smaller one",
                "is log(1/3) positive?",
            ),
            Mistake(
                "share-ignored",
                lambda n, M, share: _number((2 * math.log(n) + math.log(3)) / (2 * math.sin(math.pi / M) ** 2)),
                "that is the chapter's case, a share of 1/3: yours does not depend on `share`",
                "where does the chapter's log 3 come from?",
            ),
            Mistake(
                "one-and-a-half",
                lambda n, M, share: _number(1.5 * (2 * math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M) ** 2)),
                "that is 1.5 times the bound: what the head uses, not the smallest c",
                "which c makes both sides equal?",
            ),
            Mistake(
                "sine-not-squared",
                lambda n, M, share: _number((2 * math.log(n) - math.log(share)) / (2 * math.sin(math.pi / M))),
                "the sine is not squared",
                "what is 1 - cos(2 pi / M), by the half angle?",
            ),
            Mistake(
                "base-two",
                lambda n, M, share: _number((2 * math.log2(n) - math.log2(share)) / (2 * math.sin(math.pi / M) ** 2)),
                "the logarithm has base 2, but the weights are powers of e",
                "which logarithm undoes exp?",
            ),
        ),
        hints=(
            "All wrong pairs together weigh at most n² times the best of them, relative to the blank pair.",
            "n² * exp(-2 c sin(pi / M)²) < share\nlog both sides, solve for c",
            "c = (2 log n - log share) / (2 sin(pi / M)²), natural logarithms.",
        ),
    ),
)
