"""Exercises of chapter 06: one-pass softmax, merging of partial results, rows loaded, one query over tiles of pairs, a broken walk."""

from __future__ import annotations

import math

import torch

from simplex_lab import reference
from simplex_lab.checks.properties import large_logits, no_larger_than, sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.windows import key_rows_loaded

LOG2E = math.log2(math.e)


# --- 06.1 and 06.2: scores and values ----------------------------------------------------------------------------------


def _weighted(s, v):
    return (s * math.log(2)).softmax(-1) @ v


def _walk(s, v, alpha_l=True, alpha_acc=True, start=-1e30):
    m, l, acc = s.new_tensor(start), s.new_zeros(()), v.new_zeros(v.shape[1])
    for score, value in zip(s, v, strict=True):
        m_new = torch.maximum(m, score)
        alpha = torch.exp2(m - m_new)
        p = torch.exp2(score - m_new)
        l = (l * alpha if alpha_l else l) + p
        acc = (acc * alpha if alpha_acc else acc) + p * value
        m = m_new
    return acc / l


def _rising(gen, N, D, gain=4.0, shift=0.0):
    """Scores whose maximum grows several times on the way."""
    s = (sharp(gen, N, gain=gain) + torch.linspace(0, gain, N)).roll(N // 3) + shift
    return Case(f"N={N}, D={D}" + (f", all scores near {shift}" if shift else ""), {"s": s, "v": sharp(gen, N, D)})


def _parts(gen, T, n, D):
    """``m, l, acc`` of T tiles of n scores each."""
    s, v = sharp(gen, T, n, gain=4.0), sharp(gen, T, n, D)
    m = s.amax(1)
    p = torch.exp2(s - m[:, None])
    return Case(f"T={T}, D={D}", {"m": m, "l": p.sum(1), "acc": (p[:, :, None] * v).sum(1)})


def _merge(m, l, acc):
    alpha = torch.exp2(m - m.max())
    return (alpha[:, None] * acc).sum(0) / (alpha * l).sum()


# --- 06.4 and 06.5: one query over pairs ---------------------------------------------------------------------------------


def _row(gen, n1, n2, D, block_k, gain=3.0):
    args = {
        "q": sharp(gen, D, gain=gain),
        "k1": sharp(gen, n1, D),
        "k2": sharp(gen, n2, D),
        "v1": sharp(gen, n1, D),
        "v2": sharp(gen, n2, D),
    }
    return Case(f"n1={n1}, n2={n2}, D={D}, block_k={block_k}", args | {"block_k": block_k})


def _far_below(gen):
    """All scores between -500 and -200 or so: a maximum that starts at 0 would leave nothing of them."""
    case = _row(gen, 3, 5, 4, 2)
    below = {"q": -20 - case.args["q"].abs(), "k1": 3 + case.args["k1"].abs(), "k2": 3 + case.args["k2"].abs()}
    return Case(f"{case.label}, all scores far below 0", case.args | below)


def _far_above(gen):
    """All scores of several hundred: their powers overflow."""
    case = _row(gen, 3, 5, 4, 2)
    above = {"q": 20 + case.args["q"].abs(), "k1": 3 + case.args["k1"].abs(), "k2": 3 + case.args["k2"].abs()}
    return Case(f"{case.label}, all scores far above 0", case.args | above)


def attend_by_reference(q, k1, k2, v1, v2, block_k=None):
    """One query that sees all pairs, by the reference, for the tests: keys padded to one length, one more position for the query."""
    S = max(len(k1), len(k2))
    pad = [torch.cat([x.new_zeros(S - len(x), x.shape[1]), x]) for x in (k1, k2, v1, v2)]
    return reference.two_simplicial(q.expand(S, -1)[None, :, None], *(x[None, :, None] for x in pad), w1=len(k1), w2=len(k2)).o[0, -1, 0]


def _tiles(
    q,
    k1,
    k2,
    v1,
    v2,
    block_k,
    *,
    scale=True,
    rescale_acc=True,
    rescale_l=True,
    last=True,
    per_tile=False,
    v1_late=True,
    start=-1e30,
    log2e=LOG2E,
    reset=False,
    no_maximum=False,
    forgets=False,
):
    """The answer, equal to :func:`attend_by_reference` (tested) but in small tensors; each switch is a mistake."""
    D = len(q)
    acc, l, m = torch.zeros_like(q), q.new_zeros(()), q.new_tensor(start)
    outputs = []
    stop = len(k2) if last else len(k2) // block_k * block_k
    for k0 in range(0, stop, block_k):
        if per_tile or reset:
            acc, l, m = torch.zeros_like(q), q.new_zeros(()), q.new_tensor(-1e30)
        K2, V2 = k2[k0 : k0 + block_k], v2[k0 : k0 + block_k]
        for j in range(len(k1)):
            s2 = K2 @ (q * k1[j]) * (D**-0.5 if scale else 1.0) * log2e
            m_new = torch.zeros_like(m) if no_maximum else s2.max() if forgets else torch.maximum(m, s2.max())
            alpha, p = torch.exp2(m - m_new), torch.exp2(s2 - m_new)
            l = (l * alpha if rescale_l else l) + p.sum()
            acc = (acc * alpha if rescale_acc else acc) + (p @ V2) * (v1[j] if v1_late else 1.0)
            m = m_new
        outputs.append(acc / l)
    return torch.stack(outputs).mean(0) if per_tile else acc / l


Q = Argument("q", "D", "float", "one query")
KEYS = (
    Argument("k1", "n1, D", "float", "the first keys it sees"),
    Argument("k2", "n2, D", "float", "the second keys it sees"),
    Argument("v1", "n1, D", "float", "values of the first keys"),
    Argument("v2", "n2, D", "float", "values of the second keys"),
)
BLOCK = Argument("block_k", "", "int", "second keys in a tile; need not divide n2")
SIZES = ((1, 1, 2, 4), (3, 8, 4, 4), (4, 16, 8, 5), (2, 17, 8, 16), (5, 33, 4, 16))
HAND_ROW = {
    "q": torch.tensor([2.0, 0.0, 0.0, 0.0]),
    "k1": torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]),
    "k2": torch.tensor([[0.0] * 4, [0.0] * 4, [math.log(4), 0.0, 0.0, 0.0], [0.0] * 4, [math.log(2), 0.0, 0.0, 0.0]]),
    "v1": torch.tensor([[1.0, 1.0, 0.0, 2.0], [3.0, 1.0, 1.0, 0.0]]),
    "v2": torch.tensor([[1.0, 0.0, 1.0, 1.0], [2.0, 1.0, 1.0, 0.0], [9.0, 4.0, 0.0, 1.0], [0.0, 2.0, 1.0, 1.0], [5.0, 1.0, 0.0, 3.0]]),
    "block_k": 2,
}
# 32 x 32 pairs in tiles of 16: one first key has 16 scores with a tile, all of them 512
ONE_TILE = no_larger_than(256, lambda gen: _row(gen, 32, 32, 4, 16), "one first key has 16 scores with a tile, of 1,024 in all")
FORGOT_ACC = Mistake(
    "acc-not-rescaled",
    lambda **a: _walk(**a, alpha_acc=False) if len(a) == 2 else _tiles(**a, rescale_acc=False),
    "acc still holds what was summed against the old maximum: it must shrink by the same factor as l",
    "m grows by 3. How much too large is the old part of acc?",
)
STARTS_AT_ZERO = Mistake(
    "starts-at-zero",
    lambda **a: _walk(**a, start=0.0) if len(a) == 2 else _tiles(**a, start=0.0),
    "m starts above every score: when all scores are far below 0, all powers vanish and l is 0",
    "which start value is below any score?",
)
NEVER_RESCALED = Mistake(
    "never-rescaled",
    lambda **a: _walk(**a, alpha_l=False, alpha_acc=False) if len(a) == 2 else _tiles(**a, rescale_l=False, rescale_acc=False),
    "neither l nor acc shrinks when m grows; or m was overwritten before alpha was computed, which then is 1",
    "the maximum grows from 1 to 3. What is alpha in your code?",
)
FORGOT_L = Mistake(
    "l-not-rescaled",
    lambda **a: _walk(**a, alpha_l=False) if len(a) == 2 else _tiles(**a, rescale_l=False),
    "l still holds what was summed against the old maximum, while acc was rescaled",
    "which running numbers were measured against m?",
)

EXERCISES = (
    Exercise(
        id="06.1",
        entry="one_pass",
        title="a softmax in one pass",
        objective="The softmax-weighted mean of the values, weights `2^s / sum of 2^s`, in a single loop that looks at each score once.",
        difficulty=1,
        minutes=10,
        arguments=(Argument("s", "N", "float", "scores in base 2"), Argument("v", "N, D", "float", "a value for each")),
        returns=Argument("o", "D", "that of v", "`sum_n 2^s_n v_n / sum_n 2^s_n`"),
        hand=Case("N=3, D=2", {"s": torch.tensor([1.0, 0.0, 3.0]), "v": torch.tensor([[4.0, 0.0], [0.0, 2.0], [2.0, 1.0]])}),
        cases=lambda gen: [_rising(gen, N, D, shift=x) for N, D, x in ((1, 2, 0), (15, 3, 300), (16, 1, -300), (33, 4, 0))],
        answer=_weighted,
        axes="d",
        properties=(large_logits("s", 100.0),),
        question="write down m, l and acc after each score of the card",
        mistakes=(
            FORGOT_ACC,
            FORGOT_L,
            NEVER_RESCALED,
            STARTS_AT_ZERO,
            Mistake(
                "base-e",
                lambda s, v: s.softmax(0) @ v,
                "the weights are powers of e; here they are powers of 2",
                "what is 2^3, and what did you compute for the score 3?",
            ),
            Mistake(
                "not-normalised",
                lambda s, v: torch.exp2(s - s.max()) @ v,
                "acc is not divided by l: the weights sum to l, not to 1",
                "what do you get when all values are 1?",
            ),
            Mistake(
                "overflow",
                lambda s, v: torch.exp2(s) @ v / torch.exp2(s).sum(),
                "large scores overflow: measure them against the running maximum",
                "what is 2^400 in fp32?",
            ),
        ),
        hints=(
            "Three running numbers: the maximum m, the sum l of 2^(s - m), and acc, the same sum with the values.",
            "for each score and value:\n    m_new = max(m, score)\n    shrink l and acc by 2 ** (m - m_new)\n    add p = 2 ** (score - m_new) to l, and p * value to acc\nreturn acc / l",
            "Start with m = s.new_tensor(-1e30), l = 0 and acc = torch.zeros_like(v[0]). `torch.exp2` and `torch.maximum` work on tensors.",
        ),
    ),
    Exercise(
        id="06.2",
        entry="merge",
        title="merge what tiles bring",
        objective="Each of T tiles was summed against its own maximum: `m[t], l[t], acc[t]`. Give the output over all of them.",
        difficulty=2,
        minutes=10,
        arguments=(
            Argument("m", "T", "float", "maximum of each tile, base 2"),
            Argument("l", "T", "float", "sum of 2^(s - m) over the tile"),
            Argument("acc", "T, D", "float", "the same sum with the values"),
        ),
        returns=Argument("o", "D", "that of acc", "the softmax-weighted mean over all tiles"),
        hand=Case(
            "T=2, D=3",
            {"m": torch.tensor([3.0, 1.0]), "l": torch.tensor([1.0, 2.0]), "acc": torch.tensor([[1.0, 0.0, 2.0], [4.0, 2.0, 0.0]])},
        ),
        cases=lambda gen: [_parts(gen, T, 5, D) for T, D in ((1, 2), (2, 3), (7, 4), (16, 2))],
        answer=_merge,
        axes="d",
        properties=(large_logits("m", 100.0),),
        question="against which maximum must both tiles of the card be measured, and by what does the second one shrink?",
        mistakes=(
            Mistake(
                "no-maximum",
                lambda m, l, acc: acc.sum(0) / l.sum(),
                "the tiles were added as if they had one maximum: m is not used",
                "tile 1 says l = 2 against m = 1. What would l be against m = 3?",
            ),
            Mistake(
                "base-e",
                lambda m, l, acc: (torch.exp(m - m.max())[:, None] * acc).sum(0) / (torch.exp(m - m.max()) * l).sum(),
                "the powers are of e; m is in base 2, as in 06.1",
                "what is 2^(1 - 3)?",
            ),
            Mistake(
                "acc-not-rescaled",
                lambda m, l, acc: acc.sum(0) / (torch.exp2(m - m.max()) * l).sum(),
                "l is rescaled and acc is not: both were measured against the tile's own maximum",
                "by which factor is the second tile's acc too large?",
            ),
            Mistake(
                "mean-of-outputs",
                lambda m, l, acc: (acc / l[:, None]).mean(0),
                "you averaged the tiles' outputs: a tile with larger scores must count more",
                "how much of the total weight does each tile hold?",
            ),
            Mistake(
                "overflow",
                lambda m, l, acc: (torch.exp2(m)[:, None] * acc).sum(0) / (torch.exp2(m) * l).sum(),
                "the powers overflow: subtract the largest m, so that no exponent is above 0",
                "which m must be subtracted from all of them?",
            ),
            Mistake(
                "upside-down",
                lambda m, l, acc: (torch.exp2(m.max() - m)[:, None] * acc).sum(0) / (torch.exp2(m.max() - m) * l).sum(),
                "the factor is upside down: the tile with the largest maximum keeps its numbers, the others shrink",
                "is 2^(m - max m) above or below 1?",
            ),
        ),
        hints=(
            "It is the rescaling step of 06.1, for T partial results at once.",
            "alpha = 2 ** (m - the largest m)\nl and acc of every tile, times its alpha, summed over the tiles\ntheir quotient",
            "`(alpha[:, None] * acc).sum(0) / (alpha * l).sum()` with `alpha = torch.exp2(m - m.max())`.",
        ),
    ),
    Exercise(
        id="06.3",
        entry="rows_loaded",
        title="count what is fetched (predict)",
        objective="Rows of keys, not their values, that one query's walk loads with tiles of second keys outside: a tile's rows once while it stays, and what passes by as often as it passes. A shorter last tile counts its own rows.",
        difficulty=1,
        minutes=5,
        arguments=(
            Argument("n1", "", "int", "first keys it sees"),
            Argument("n2", "", "int", "second keys it sees"),
            Argument("block_k", "", "int", "second keys in a tile; need not divide n2"),
        ),
        returns=Argument("rows", "", "a number", "rows of first and of second keys, together"),
        hand=Case("n1=6, n2=8, block_k=4", {"n1": 6, "n2": 8, "block_k": 4}),
        cases=lambda gen: [
            Case(f"n1={a}, n2={b}, block_k={c}", {"n1": a, "n2": b, "block_k": c})
            for a, b, c in ((32, 512, 64), (5, 33, 16), (512, 32, 32), (7, 9, 1), (1, 1, 4))
        ],
        answer=lambda n1, n2, block_k: torch.tensor(float(key_rows_loaded(n1, n2, block_k, outer="k")), dtype=torch.float64),
        question="how many tiles does the card's case have, and what does each of them load?",
        mistakes=(
            Mistake(
                "j-outside",
                lambda n1, n2, block_k: torch.tensor(float(n1 + n1 * n2), dtype=torch.float64),
                "that is the other order: j outside, all second keys once for every first key",
                "which of the two keys stays while the other passes?",
            ),
            Mistake(
                "once-each",
                lambda n1, n2, block_k: torch.tensor(float(n1 + n2), dtype=torch.float64),
                "every row once would need all of them to stay in fast memory; only a tile does",
                "what happens to the first keys when the next tile comes?",
            ),
            Mistake(
                "part-of-a-tile",
                lambda n1, n2, block_k: torch.tensor(float(n2 + n2 / block_k * n1), dtype=torch.float64),
                "a shorter last tile needs all first keys, too: the number of tiles is a whole number",
                "how many tiles are there for n2 = 9 and block_k = 4?",
            ),
            Mistake(
                "rounded-down",
                lambda n1, n2, block_k: torch.tensor(float(n2 + n2 // block_k * n1), dtype=torch.float64),
                "the last, shorter tile is missing: its first keys have to pass by too",
                "how many tiles are there for n2 = 9 and block_k = 4?",
            ),
        ),
        hints=(
            "Second keys: each row once. First keys: all of them, as often as there are tiles.",
            "tiles = n2 / block_k, rounded up\nn2 + tiles * n1",
            "`-(-n2 // block_k)` rounds up.",
        ),
    ),
    Exercise(
        id="06.4",
        entry="attend_by_tiles",
        title="one query over tiles of pairs",
        objective="2-simplicial attention of one query that sees all pairs: tiles of second keys outside, first keys inside, so that only the scores of one first key with one tile are held.",
        difficulty=3,
        minutes=20,
        arguments=(Q, *KEYS, BLOCK),
        returns=Argument("o", "D", "that of q", "scale D ** -0.5, softmax over all n1 n2 pairs"),
        hand=Case("n1=2, n2=5, D=4, block_k=2", HAND_ROW),
        cases=lambda gen: [_far_above(gen), _far_below(gen), *(_row(gen, *sizes) for sizes in SIZES)],
        answer=_tiles,
        axes="d",
        properties=(large_logits("q", 100.0), ONE_TILE),
        question="print m, l and acc after the second tile of the card: are they what 06.1 would give for its eight pairs?",
        mistakes=(
            FORGOT_ACC,
            FORGOT_L,
            NEVER_RESCALED,
            STARTS_AT_ZERO,
            Mistake(
                "no-maximum",
                lambda **a: _tiles(**a, no_maximum=True),
                "nothing is subtracted from the scores: large ones overflow",
                "where does your m enter the powers?",
            ),
            Mistake(
                "maximum-forgets",
                lambda **a: _tiles(**a, forgets=True),
                "the new maximum is that of this step only: it may fall, and then old sums grow without bound",
                "the maximum of everything so far: which two numbers decide it?",
            ),
            Mistake(
                "base-e-scores",
                lambda **a: _tiles(**a, log2e=1.0),
                "the scores are in base e and the powers in base 2: multiply the scores by log2(e)",
                "what is 2^(s log2 e)?",
            ),
            Mistake(
                "reset-in-the-loop",
                lambda **a: _tiles(**a, reset=True),
                "m, l and acc are set to their start values for every tile: only the last tile is left at the end",
                "where do the three numbers begin, and how long must they live?",
            ),
            Mistake(
                "no-scale",
                lambda **a: _tiles(**a, scale=False),
                "the scale D ** -0.5 is missing from the scores",
                "what is D here?",
            ),
            Mistake(
                "last-tile-missing",
                lambda **a: _tiles(**a, last=False) if len(a["k2"]) >= a["block_k"] else torch.full_like(a["q"], torch.nan),
                "second keys behind the last whole tile are never visited",
                "where does your loop over tiles end when block_k does not divide n2?",
            ),
            Mistake(
                "softmax-per-tile",
                lambda **a: _tiles(**a, per_tile=True),
                "each tile was normalised by itself and the outputs averaged: m, l and acc must live through all tiles",
                "where do you set m, l and acc to their start values?",
            ),
            Mistake(
                "v1-forgotten",
                lambda **a: _tiles(**a, v1_late=False),
                "v1 is never used: the value of a pair is v1_j * v2_k",
                "after the sum over k, what is still to be multiplied in?",
            ),
        ),
        hints=(
            "The loop body is 06.1 with a tile of scores instead of one. Its scores: multiply q by k1[j], then one product with the tile of k2.",
            "for k0 in steps of block_k:\n    K2, V2 = a slice of k2, v2\n    for j:\n        s2 = K2 @ (q * k1[j]) * scale * log2(e)\n        m_new, alpha, p as before\n        l = l * alpha + sum of p\n        acc = acc * alpha + (p @ V2) * v1[j]\nreturn acc / l",
            "Slices may run over the end: `k2[k0 : k0 + block_k]` is shorter then. `math.log2(math.e)` turns base e into base 2.",
        ),
    ),
    Exercise(
        id="06.5",
        entry="mended",
        title="a broken walk (debug)",
        objective="The function above gives right outputs for some inputs and wrong ones for others. Find what is wrong and write it anew, mended.",
        difficulty=2,
        minutes=15,
        arguments=(Q, *KEYS, BLOCK),
        returns=Argument("o", "D", "that of q", "as in 06.4"),
        hand=Case("n1=2, n2=5, D=4, block_k=2", HAND_ROW),
        cases=lambda gen: [_far_above(gen), _far_below(gen), *(_row(gen, *sizes) for sizes in SIZES)],
        answer=_tiles,
        axes="d",
        properties=(large_logits("q", 100.0), ONE_TILE),
        question="give it one tile only (block_k = n2), then two: from which tile on is it wrong, and what is different about that tile?",
        mistakes=(
            Mistake(
                "as-given",
                lambda **a: _broken(**a),
                "that is still the broken walk: m is raised and neither l nor acc is rescaled",
                "which line runs when m grows, and which numbers does it touch?",
            ),
            FORGOT_ACC,
            FORGOT_L,
            Mistake(
                "softmax-per-tile",
                lambda **a: _tiles(**a, per_tile=True),
                "each tile is normalised by itself now: m, l and acc must live through all tiles",
                "where do you set m, l and acc to their start values?",
            ),
        ),
        hints=(
            "Compare with the invariant of the chapter: l and acc are sums of powers measured against the current m. Is that true after each line?",
            "look at the two places where m changes: inside a tile, and between tiles",
            "The line before the loop over j raises m without rescaling what earlier tiles summed.",
        ),
    ),
)


def _broken(q, k1, k2, v1, v2, block_k):
    """The walk that exercise 06.5 gives: right within a tile, but a new tile takes its maximum without rescaling what is there."""
    scale_log2 = len(q) ** -0.5 * LOG2E
    acc, l, m = torch.zeros_like(q), q.new_zeros(()), q.new_tensor(-1e30)
    for k0 in range(0, len(k2), block_k):
        K2, V2 = k2[k0 : k0 + block_k], v2[k0 : k0 + block_k]
        m = torch.maximum(m, (K2 @ (q * k1[0]) * scale_log2).max())
        for j in range(len(k1)):
            s2 = K2 @ (q * k1[j]) * scale_log2
            m_new = torch.maximum(m, s2.max())
            alpha, p = torch.exp2(m - m_new), torch.exp2(s2 - m_new)
            l = l * alpha + p.sum()
            acc = acc * alpha + (p @ V2) * v1[j]
            m = m_new
    return acc / l
