"""Exercises of chapter 05: the visible rectangle, triples counted, the context of equal cost, work that a tile wastes."""

from __future__ import annotations

import torch

from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.windows import count_triples, executed_share


def _number(x) -> torch.Tensor:
    return torch.tensor(float(x), dtype=torch.float64)


def _cases(names: str, *rows):
    keys = names.split()
    return [Case(", ".join(f"{k}={v}" for k, v in zip(keys, row, strict=True)), dict(zip(keys, row, strict=True))) for row in rows]


def _rectangle(i, w1, w2, *, first=0, floor=True):
    lows = (i - w1 + 1 - first, i - w2 + 1 - first)
    j, k = (max(x, 0) if floor else x for x in lows)
    return torch.tensor([j, k], dtype=torch.int64)


W1 = Argument("w1", "", "int", "window for j: `i - w1 < j <= i`")
W2 = Argument("w2", "", "int", "window for k: `i - w2 < k <= i`")
S = Argument("S", "", "int", "tokens")

EXERCISES = (
    Exercise(
        id="05.1",
        entry="corner",
        title="where the rectangle begins",
        objective="The first visible `j` and the first visible `k` of query i, as a tensor of two whole numbers. Positions start at 0.",
        difficulty=1,
        minutes=5,
        arguments=(Argument("i", "", "int", "position of the query"), W1, W2),
        returns=Argument("corner", "2", "whole numbers", "`[j, k]`, the oldest keys that query i sees"),
        hand=Case("i=4, w1=3, w2=9", {"i": 4, "w1": 3, "w2": 9}),
        cases=lambda gen: _cases("i w1 w2", (0, 1, 1), (9, 4, 8), (7, 8, 8), (20, 1, 5), (3, 2, 40)),
        answer=lambda i, w1, w2: _rectangle(i, w1, w2),
        axes="side",
        question="list the j that query 4 sees with w1 = 3, itself included: which is the first? And which k with w2 = 9?",
        mistakes=(
            Mistake(
                "off-by-one",
                lambda i, w1, w2: _rectangle(i, w1, w2, first=1),
                "the windows reach one token too far: i - w < j, so the first is i - w + 1",
                "how many j are there from i - w1 to i, both included?",
            ),
            Mistake(
                "off-by-one-below-zero",
                lambda i, w1, w2: _rectangle(i, w1, w2, first=1, floor=False),
                "two things: the windows reach one token too far, and the corner may lie before the sequence",
                "how many j are there from i - w1 to i, both included? And what does query 0 see?",
            ),
            Mistake(
                "below-zero",
                lambda i, w1, w2: _rectangle(i, w1, w2, floor=False),
                "the corner lies before the sequence: there is no key at a negative position",
                "what does query 0 see?",
            ),
            Mistake(
                "swapped",
                lambda i, w1, w2: _rectangle(i, w2, w1),
                "w1 bounds j and w2 bounds k; you have them the other way round",
                "which of the two windows is 3 on the card?",
            ),
        ),
        hints=(
            "A window of w tokens that ends at i begins at i - w + 1. Near the start of the sequence it begins at 0.",
            "j = max(i - w1 + 1, 0)\nk the same with w2\na tensor of both",
            "`torch.tensor([max(i - w1 + 1, 0), max(i - w2 + 1, 0)])`",
        ),
    ),
    Exercise(
        id="05.2",
        entry="count",
        title="count the triples (predict)",
        objective="All visible triples of a causal sequence under two windows. Think first: by how much does it differ from S w1 w2?",
        difficulty=2,
        minutes=10,
        arguments=(S, W1, W2),
        returns=Argument("triples", "", "a number", "sum over the queries of the pairs that each sees"),
        hand=Case("S=4, w1=2, w2=3", {"S": 4, "w1": 2, "w2": 3}),
        cases=lambda gen: _cases("S w1 w2", (1, 1, 1), (6, 3, 2), (16, 16, 16), (33, 5, 40), (512, 32, 512)),
        answer=lambda S, w1, w2: _number(count_triples(S, w1, w2)),
        question="how many pairs do queries 0, 1, 2 and 3 of the card see?",
        mistakes=(
            Mistake(
                "no-edge",
                lambda S, w1, w2: _number(S * w1 * w2),
                "the first queries see less than a whole window: there is nothing before position 0",
                "how many pairs does query 0 see?",
            ),
            Mistake(
                "windows-added",
                lambda S, w1, w2: _number(sum(min(i + 1, w1) + min(i + 1, w2) for i in range(S))),
                "you added the two windows; a query sees every j with every k",
                "2 first keys and 3 second keys: how many pairs?",
            ),
            Mistake(
                "product-of-sums",
                lambda S, w1, w2: _number(sum(min(i + 1, w1) for i in range(S)) * sum(min(i + 1, w2) for i in range(S))),
                "all pairs (i, j) times all pairs (i, k): that lets j and k belong to different queries",
                "multiply for each query, then add. What comes out for the card?",
            ),
            Mistake(
                "one-window-cut",
                lambda S, w1, w2: _number(sum(min(i + 1, w1) * w2 for i in range(S))),
                "only the first window is cut at the start of the sequence; the second is, too",
                "which k does query 0 see?",
            ),
            Mistake(
                "edge-off-by-one",
                lambda S, w1, w2: _number(sum(min(i, w1) * min(i, w2) for i in range(S))),
                "a query sees itself: at position i there are i + 1 keys, not i",
                "what does query 0 see?",
            ),
        ),
        hints=(
            "Query i has i + 1 positions to look at, itself included, and a window can only be filled by what is there.",
            "sum over i of min(i + 1, w1) * min(i + 1, w2)",
            "`sum(min(i + 1, w1) * min(i + 1, w2) for i in range(S))`",
        ),
    ),
    Exercise(
        id="05.3",
        entry="equal_at",
        title="where both cost the same (derive)",
        objective="The context n at which causal dot-product attention over all keys costs as much a query as triples in windows.",
        difficulty=2,
        minutes=15,
        arguments=(
            W1,
            W2,
            Argument("per_pair", "", "int", "FLOPs of one (i, j), for one channel"),
            Argument("per_triple", "", "int", "FLOPs of one (i, j, k), for one channel"),
        ),
        returns=Argument("n", "", "a number", "a query of the dot product sees n / 2 keys on average; edges of windows left out"),
        hand=Case("w1=512, w2=32, per_pair=4, per_triple=6", {"w1": 512, "w2": 32, "per_pair": 4, "per_triple": 6}),
        cases=lambda gen: _cases("w1 w2 per_pair per_triple", (512, 32, 4, 4), (64, 16, 4, 6), (8, 8, 2, 5), (8, 8, 3, 5), (1, 1, 4, 4)),
        answer=lambda w1, w2, per_pair, per_triple: _number(2 * per_triple * w1 * w2 / per_pair),
        question="write down both costs a query for the card, with n unknown",
        mistakes=(
            Mistake(
                "causal-forgotten",
                lambda w1, w2, per_pair, per_triple: _number(per_triple * w1 * w2 / per_pair),
                "a causal query sees half of the context on average, not all of it",
                "query 0 sees 1 key and the last one n: what is the mean?",
            ),
            Mistake(
                "halved-the-wrong-way",
                lambda w1, w2, per_pair, per_triple: _number(per_triple * w1 * w2 / per_pair / 2),
                "a query sees n / 2 keys, so n is twice that number, not half of it",
                "if half of n is 24k, what is n?",
            ),
            Mistake(
                "whole-number-division",
                lambda w1, w2, per_pair, per_triple: _number(2 * w1 * w2 * (per_triple // per_pair)),
                "`//` throws the rest away: 6 // 4 is 1",
                "what is 5 // 2?",
            ),
            Mistake(
                "one-price",
                lambda w1, w2, per_pair, per_triple: _number(2 * w1 * w2),
                "pairs and triples have prices of their own here",
                "where do 4 and 6 enter?",
            ),
            Mistake(
                "upside-down",
                lambda w1, w2, per_pair, per_triple: _number(2 * per_pair * w1 * w2 / per_triple),
                "the prices are upside down: dearer triples move the point to longer contexts",
                "if a triple cost twice as much, would you need a longer or a shorter context to break even?",
            ),
            Mistake(
                "windows-added",
                lambda w1, w2, per_pair, per_triple: _number(2 * per_triple * (w1 + w2) / per_pair),
                "you added the windows; a query sees w1 times w2 pairs",
                "how many pairs does a query see with w1 = w2 = 2?",
            ),
        ),
        hints=(
            "Set the cost of one query in both layers equal, and solve for n.",
            "per_pair * n / 2 = per_triple * w1 * w2",
            "n = 2 * per_triple * w1 * w2 / per_pair",
        ),
    ),
    Exercise(
        id="05.4",
        entry="waste",
        title="a count that flatters (debug)",
        objective="The function above says how many pairs a tile of neighbouring queries executes for each one that is seen. It says too little. Mend it.",
        difficulty=2,
        minutes=10,
        arguments=(
            Argument("positions", "", "int", "neighbouring queries in the tile"),
            W1,
            W2,
            Argument("block_k", "", "int", "second keys come in whole tiles of this size"),
        ),
        returns=Argument("share", "", "a number", "pairs executed / pairs seen, far from the start of the sequence"),
        hand=Case("positions=4, w1=4, w2=6, block_k=4", {"positions": 4, "w1": 4, "w2": 6, "block_k": 4}),
        cases=lambda gen: _cases("positions w1 w2 block_k", (1, 32, 512, 64), (64, 32, 32, 64), (16, 7, 9, 1), (3, 5, 8, 16)),
        answer=lambda positions, w1, w2, block_k: _number(executed_share(positions, w1, w2, block_k)),
        question="draw the rectangles of the card's four queries: from which j to which j must the tile walk, from which k to which k, and how many tiles of 4 is that?",
        mistakes=(
            Mistake(
                "as-given",
                lambda positions, w1, w2, block_k: _number(max(positions, w1) * max(positions, w2) / (w1 * w2)),
                "the rectangles are shifted against each other: together they reach further than the largest of them",
                "query 10 sees j from 7 on, query 13 up to 13: how many j are that?",
            ),
            Mistake(
                "one-too-many",
                lambda positions, w1, w2, block_k: _number((positions + w1) * -(-(positions + w2) // block_k) * block_k / (w1 * w2)),
                "one row too many: with one position the tile walks over w1 first keys, not w1 + 1",
                "what should come out for positions = 1 and block_k = 1?",
            ),
            Mistake(
                "first-keys-tiled",
                lambda positions, w1, w2, block_k: _number(
                    -(-(positions + w1 - 1) // block_k) * block_k * (positions + w2 - 1) / (w1 * w2)
                ),
                "you rounded the first keys up to whole tiles; the second keys come in tiles",
                "which of the two keys does block_k belong to?",
            ),
            Mistake(
                "both-tiled",
                lambda positions, w1, w2, block_k: _number(
                    -(-(positions + w1 - 1) // block_k) * block_k * -(-(positions + w2 - 1) // block_k) * block_k / (w1 * w2)
                ),
                "only second keys come in tiles; first keys pass one by one",
                "which of the two keys does block_k belong to?",
            ),
            Mistake(
                "rounded-down",
                lambda positions, w1, w2, block_k: _number((positions + w1 - 1) * ((positions + w2 - 1) // block_k * block_k) / (w1 * w2)),
                "the last, shorter tile is left out: round up, not down",
                "9 second keys in tiles of 4: how many tiles are that?",
            ),
            Mistake(
                "no-tiles",
                lambda positions, w1, w2, block_k: _number((positions + w1 - 1) * (positions + w2 - 1) / (w1 * w2)),
                "second keys come in whole tiles: the last one is executed whole, whatever is in it",
                "9 second keys in tiles of 4: how many are executed?",
            ),
            Mistake(
                "first-keys-forgotten",
                lambda positions, w1, w2, block_k: _number(w1 * -(-(positions + w2 - 1) // block_k) * block_k / (w1 * w2)),
                "the first keys of all rows have to be walked over as well, not only one row's",
                "which j does the newest query of the card see, and which the oldest?",
            ),
        ),
        hints=(
            "R queries in a row see, together, R - 1 keys more than one of them, along each axis.",
            "first = positions + w1 - 1\nsecond = positions + w2 - 1, rounded up to whole tiles\nfirst * second / (w1 * w2)",
            "`-(-x // block_k) * block_k` rounds x up to a multiple of block_k.",
        ),
    ),
)
