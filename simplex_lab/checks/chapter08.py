"""Exercises of chapter 08: the forward kernel in five steps, from one tile of pairs to a group's heads under two windows."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F

from simplex_lab.checks.properties import causal, finite, large_logits, loads_at_most, sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.windows import visible_pairs

BLOCK = 16
D = 16
LN2 = math.log(2)


def _pairs(gen, Q, n1, n2, gain=2.0):
    """Queries that all see the same n1 n2 pairs."""
    sizes = {"q": Q, "k1": n1, "k2": n2, "v1": n1, "v2": n2}
    args = {name: sharp(gen, n, D, gain=gain if name == "q" else 1.0) for name, n in sizes.items()}
    return Case(f"Q={Q}, n1={n1}, n2={n2}, D={D}", args)


def _sequence(gen, S, w1, w2, H=None, gain=2.0):
    q = sharp(gen, S, D, gain=gain) if H is None else sharp(gen, S, H, D, gain=gain)
    keys = {name: sharp(gen, S, D) for name in ("k1", "k2", "v1", "v2")}
    heads = "" if H is None else f"H={H}, "
    return Case(f"S={S}, {heads}D={D}, w1={w1}, w2={w2}", {"q": q, **keys, "w1": w1, "w2": w2})


def _all_below(gen, Q, n1, n2):
    """All logits are far below 0: q and k1 positive, k2 negative."""
    case = _pairs(gen, Q, n1, n2, gain=200.0)
    case.args.update(q=case.args["q"].abs(), k1=case.args["k1"].abs(), k2=-case.args["k2"].abs())
    return Case(f"{case.label}, all logits far below 0", case.args)


BELOW = finite(
    lambda gen: _all_below(gen, 1, 3, 5),
    "all logits are far below 0, and some number is not finite",
    "with which m does your walk begin, and what is 2^(-300 - m) then?",
)


def _attend(q, k1, k2, v1, v2, see=None, *, scale=None, gain=1.0, over="jk", normalise=True, subtract=True, value=None):
    """Dense attention of ``q [..., Q, D]``; the switches are mistakes. ``see [Q, n1, n2]`` says which pairs a query sees."""
    A = torch.einsum("...id,jd,kd->...ijk", q, k1, k2) * (q.shape[-1] ** -0.5 if scale is None else scale) * gain
    if see is not None:
        A = A.masked_fill(~see, -torch.inf)
    axes = (-2, -1) if over == "jk" else (-1,)
    m = A.amax(axes, keepdim=True).clamp(min=torch.finfo(A.dtype).min) if subtract else 0.0
    p = torch.exp(A - m)
    if normalise:
        p = p / p.sum(axes, keepdim=True).clamp(min=1e-37 if over == "k" else 0.0)
    if value is not None:
        return value(p)
    return torch.einsum("...ijk,jd,kd->...id", p, v1, v2)


def _padded(x, n=BLOCK):
    return F.pad(x, (0, 0, 0, n - len(x)))


def _padding_counts(q, k1, k2, v1, v2):
    """Pairs beyond the keys have a logit of 0 and a weight."""
    n1, n2 = (-(-len(x) // BLOCK) * BLOCK for x in (k1, k2))
    return _attend(q, _padded(k1, n1), _padded(k2, n2), _padded(v1, n1), _padded(v2, n2))


def _k_padding_counts(q, k1, k2, v1, v2):
    n2 = -(-len(k2) // BLOCK) * BLOCK
    return _attend(q, k1, _padded(k2, n2), v1, _padded(v2, n2))


def _values_swapped(q, k1, k2, v1, v2):
    """The values of the first keys lie along k and the other way round; what is not there is 0."""
    n = max(len(v1), len(v2), BLOCK)
    p = _attend(q, k1, k2, v1, v2, value=lambda p: p)
    return torch.einsum("ijk,jd,kd->id", p, _padded(v2, n)[: p.shape[1]], _padded(v1, n)[: p.shape[2]])


def _whole_tiles(q, k1, k2, v1, v2):
    end = len(k2) // BLOCK * BLOCK
    return _attend(q, k1, k2[:end], v1, v2[:end]) if end else torch.full_like(q, torch.nan)


def _walk(q, k1, k2, v1, v2, *, acc=True, l=True, reset=False):
    """Tiles of k with a running maximum for each query, first keys all at once; the switches forget a rescaling."""
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[-1] ** -0.5
    m = A.new_full((len(q),), -1e30)
    total, out = A.new_zeros(len(q)), torch.zeros_like(q)
    for k0 in range(0, len(k2), BLOCK):
        if reset:
            m, total, out = torch.full_like(m, -1e30), torch.zeros_like(total), torch.zeros_like(out)
        part = A[:, :, k0 : k0 + BLOCK]
        m_new = torch.maximum(m, part.amax((1, 2)))
        alpha, p = torch.exp(m - m_new), torch.exp(part - m_new[:, None, None])
        total = (total * alpha if l else total) + p.sum((1, 2))
        out = (out * alpha[:, None] if acc else out) + torch.einsum("ijk,jd,kd->id", p, v1, v2[k0 : k0 + BLOCK])
        m = m_new
    return out / total[:, None]


def _steps(q, k1, k2, v1, v2, *, acc=True, l=True, reset=False):
    """As :func:`_walk`, with one first key a step, as the kernel of 08.3 has it. ``reset``: only the last step is left."""
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[-1] ** -0.5
    m = A.new_full((len(q),), -1e30)
    total, out = A.new_zeros(len(q)), torch.zeros_like(q)
    for k0 in range(0, len(k2), BLOCK):
        for j in range(len(k1)):
            part = A[:, j, k0 : k0 + BLOCK]
            m_new = part.amax(1) if reset else torch.maximum(m, part.amax(1))
            alpha, p = torch.exp(m - m_new) * (not reset), torch.exp(part - m_new[:, None])
            total = (total * alpha if l else total) + p.sum(1)
            out = (out * alpha[:, None] if acc else out) + (p @ v2[k0 : k0 + BLOCK]) * v1[j]
            m = m_new
    return out / total[:, None]


# --- windows -------------------------------------------------------------------------------------------------------------


def _windows(q, k1, k2, v1, v2, w1, w2, see=None, **switches):
    """``q [S, D]`` or, with heads, ``[S, H, D]``."""
    see = visible_pairs(len(q), w1, w2).to(q.device) if see is None else see.to(q.device)
    if q.dim() == 2:
        return _attend(q, k1, k2, v1, v2, see, **switches)
    return _attend(q.transpose(0, 1), k1, k2, v1, v2, see, **switches).transpose(0, 1)


def _seeing(rule):
    """The output when a query sees what ``rule(i, j, k, w1, w2)`` says."""

    def wrong(q, k1, k2, v1, v2, w1, w2):
        n = torch.arange(len(q))
        see = rule(n[:, None, None], n[None, :, None], n[None, None, :], w1, w2).expand(len(q), len(q), len(q))
        return _windows(q, k1, k2, v1, v2, w1, w2, see)

    return wrong


def _row_by_row(attend):
    """Each query with the keys of its own windows: ``attend(q_i [H, D], k1, k2, v1, v2)``."""

    def wrong(q, k1, k2, v1, v2, w1, w2):
        rows = []
        for i in range(len(q)):
            j, k = slice(max(i - w1 + 1, 0), i + 1), slice(max(i - w2 + 1, 0), i + 1)
            rows.append(attend(q[i].view(-1, q.shape[-1]), k1[j], k2[k], v1[j], v2[k]).view(q[i].shape))
        return torch.stack(rows)

    return wrong


def _in(x, i, w):
    return (x <= i) & (x > i - w)


def _weights_over_heads(q, k1, k2, v1, v2, w1, w2):
    """One sum of weights for all heads of a position."""
    see = visible_pairs(len(q), w1, w2).to(q.device)
    A = torch.einsum("ihd,jd,kd->ihjk", q, k1, k2) * q.shape[-1] ** -0.5
    A = A.masked_fill(~see[:, None], -torch.inf)
    P = A.flatten(1).softmax(1).view_as(A)
    return torch.einsum("ihjk,jd,kd->ihd", P, v1, v2)


Q_ROWS = Argument("q", "Q, D", "float", "queries that see all pairs; D = 16 everywhere in this exercise")
N_KEYS = (
    Argument("k1", "n1, D", "float", "first keys"),
    Argument("k2", "n2, D", "float", "second keys"),
    Argument("v1", "n1, D", "float", "their values"),
    Argument("v2", "n2, D", "float", "their values"),
)
S_KEYS = tuple(Argument(name, "S, D", "float", "contiguous, like all of them") for name in ("k1", "k2", "v1", "v2"))
W = (Argument("w1", "", "int", "window for j: `i - w1 < j <= i`"), Argument("w2", "", "int", "window for k: `i - w2 < k <= i`"))
OUT = Argument("out", "Q, D", "float", "holds NaN at first")
O = Argument("out", "Q, D", "float", "softmax over all n1 n2 pairs, scale `D ** -0.5`; `sum_jk P_jk v1_j v2_k`")


def _hand_rows(rows):
    x = torch.zeros(len(rows), D)
    for n, row in enumerate(rows):
        x[n, : len(row)] = torch.tensor(row)
    return x


HAND = Case(
    "Q=1, n1=2, n2=3, D=16",
    {
        "q": _hand_rows([[4.0]]),
        "k1": _hand_rows([[1.0], [0.0]]),
        "k2": _hand_rows([[0.0], [math.log(4)], [math.log(2)]]),
        "v1": _hand_rows([[1.0, 1.0], [2.0, 0.0]]),
        "v2": _hand_rows([[1.0, 2.0], [3.0, 1.0], [5.0, 0.0]]),
    },
)
HAND_SEQUENCE = {
    "q": _hand_rows([[4.0], [4.0], [0.0]]),
    "k1": _hand_rows([[1.0], [1.0], [0.0]]),
    "k2": _hand_rows([[0.0], [math.log(3)], [0.0]]),
    "v1": _hand_rows([[1.0, 1.0], [2.0, 0.0], [1.0, 1.0]]),
    "v2": _hand_rows([[1.0, 2.0], [3.0, 1.0], [5.0, 0.0]]),
    "w1": 2,
    "w2": 2,
}
NO_SCALE = Mistake(
    "no-scale",
    lambda **a: _attend(**a, scale=1.0),
    "the scale D ** -0.5 is missing from the logits",
    "what is D here, and where does SCALE_LOG2 go?",
)
BASE_E = Mistake(
    "wrong-base",
    lambda **a: _attend(**a, gain=LN2),
    "the logits are in base e and the powers in base 2: log2(e) is missing, or exp2 stands where exp belongs",
    "SCALE_LOG2 holds both the scale and log2(e): 2^(s log2 e) is what?",
)
OTHER_BASE = Mistake(
    "log2e-twice",
    lambda **a: _attend(**a, gain=1 / LN2),
    "the logits hold log2(e) already, and exp takes them as base e: use exp2",
    "which power belongs to SCALE_LOG2?",
)
OVER_K = Mistake(
    "softmax-over-k",
    lambda **a: _attend(**a, over="k"),
    "you normalised over k for each j; the softmax is joint over (j, k)",
    "to what do the weights of a query sum over both axes?",
)
NOT_NORMALISED = Mistake(
    "not-normalised", lambda **a: _attend(**a, normalise=False), "acc is not divided by l", "to what do the weights sum without it?"
)
NO_V1 = Mistake(
    "v1-forgotten",
    lambda q, k1, k2, v1, v2: _attend(q, k1, k2, torch.ones_like(v1), v2),
    "v1 is never used: the value of a pair is v1_j * v2_k",
    "after the sum over k, what is still to be multiplied in?",
)
OVERFLOW = Mistake(
    "overflow",
    lambda **a: _attend(**a, subtract=False),
    "large logits overflow: subtract the maximum before the powers",
    "what is 2^300 in fp32?",
)
ACC = Mistake(
    "acc-not-rescaled",
    lambda **a: _walk(**a, acc=False),
    "acc is not rescaled when the running maximum rises: multiply it by exp2(m - m_new)",
    "which of the three running quantities did you forget?",
)
L = Mistake(
    "l-not-rescaled",
    lambda **a: _walk(**a, l=False),
    "l is not rescaled when the running maximum rises, while acc is",
    "which of the three running quantities did you forget?",
)
LAST = Mistake(
    "last-tile-missing",
    _whole_tiles,
    "second keys behind the last whole tile are never visited",
    "where does the loop end when 16 does not divide n2?",
)
RESET = Mistake(
    "last-tile-only",
    lambda **a: _walk(**a, reset=True),
    "only the last tile is left: m, l and acc begin anew with every tile, or m is never raised, and alpha is 0",
    "where are the three born, and which line raises m?",
)
K_PADDING = Mistake(
    "padding-counts",
    _k_padding_counts,
    "lanes beyond n2 have a logit of 0 and take part in the softmax: set their logits to minus infinity",
    "how many of the last tile's lanes are keys?",
)
W_NAMES = ("q", "k1", "k2", "v1", "v2")


def _window_mistakes():
    return (
        Mistake(
            "w1-one-too-wide",
            _seeing(lambda i, j, k, w1, w2: _in(j, i, w1 + 1) & _in(k, i, w2)),
            "the window for j begins one position too early",
            "w1 = 1: which j does query i see?",
        ),
        Mistake(
            "w2-one-too-wide",
            _seeing(lambda i, j, k, w1, w2: _in(j, i, w1) & _in(k, i, w2 + 1)),
            "the window for k begins one position too early",
            "w2 = 1: which k does query i see?",
        ),
        Mistake(
            "windows-swapped",
            _seeing(lambda i, j, k, w1, w2: _in(j, i, w2) & _in(k, i, w1)),
            "w1 bounds k and w2 bounds j: they trade places",
            "which window belongs to k1?",
        ),
        Mistake(
            "k-window-forgotten",
            _seeing(lambda i, j, k, w1, w2: _in(j, i, w1) & (k <= i)),
            "k runs over the whole past: w2 is not used",
            "with which k does the first tile begin?",
        ),
        Mistake(
            "j-window-forgotten",
            _seeing(lambda i, j, k, w1, w2: (j <= i) & _in(k, i, w2)),
            "j runs over the whole past: w1 is not used",
            "with which j does the inner loop begin?",
        ),
        Mistake(
            "self-not-seen",
            _seeing(lambda i, j, k, w1, w2: (j < i) & (j > i - w1) & _in(k, i, w2)),
            "the query's own position is missing among the first keys: the window includes it",
            "what does query 0 see?",
        ),
        Mistake(
            "own-second-key-missing",
            _seeing(lambda i, j, k, w1, w2: _in(j, i, w1) & (k < i) & (k > i - w2)),
            "the query's own position is missing among the second keys: the window includes it",
            "what does query 0 see?",
        ),
        Mistake(
            "tile-before-the-window",
            _seeing(lambda i, j, k, w1, w2: _in(j, i, w1) & (k <= i) & (k >= (i - w2 + 1).clamp(min=0) // BLOCK * BLOCK)),
            "the first tile begins at a multiple of 16, and its lanes before the window take part",
            "w2 = 4: which k does query 15 see, and with which does its first tile begin?",
        ),
        Mistake(
            "hidden-lanes-count",
            _row_by_row(_k_padding_counts),
            "lanes beyond the query have a logit of 0 and take part in the softmax: set their logits to minus infinity",
            "query 0 sees one pair. How many lanes does its tile have?",
        ),
        Mistake(
            "sees-the-future",
            lambda q, k1, k2, v1, v2, w1, w2: _tile_end(q, k1, k2, v1, v2, w1, w2),
            "lanes of the last tile lie behind the query and take part: k <= i is not masked",
            "the last tile begins at or before i. Where does it end?",
        ),
    )


def _tile_end(q, k1, k2, v1, v2, w1, w2):
    """The last tile of k counts whole, as far as the sequence goes."""
    n = torch.arange(len(q))
    i, j, k = n[:, None, None], n[None, :, None], n[None, None, :]
    first = (i - w2 + 1).clamp(min=0)
    end = first + (i + 1 - first + BLOCK - 1) // BLOCK * BLOCK
    return _windows(q, k1, k2, v1, v2, w1, w2, _in(j, i, w1) & (k >= first) & (k < end))


def _with_windows(mistake):
    return Mistake(mistake.name, lambda w1, w2, **a: _windows_by(mistake, w1, w2, **a), mistake.says, mistake.asks)


def _windows_by(mistake, w1, w2, **a):
    switch = {
        "no-scale": {"scale": 1.0},
        "wrong-base": {"gain": LN2},
        "softmax-over-k": {"over": "k"},
        "not-normalised": {"normalise": False},
        "log2e-twice": {"gain": 1 / LN2},
    }
    return _windows(**a, w1=w1, w2=w2, **switch[mistake.name])


def _swapped_values(q, k1, k2, v1, v2, w1, w2):
    return _windows(q, k1, k2, v2, v1, w1, w2)


SWAPPED = Mistake(
    "values-swapped",
    _swapped_values,
    "the values trade places, or the keys do: k1 and v1 belong to j, k2 and v2 to k",
    "which value tile lies along the same axis as k2?",
)

NEITHER = Mistake(
    "nothing-rescaled",
    lambda **a: _walk(**a, acc=False, l=False),
    "neither l nor acc is rescaled when the running maximum rises: multiply both by exp2(m - m_new)",
    "what did the steps before the last maximum subtract?",
)


def _walking(*mistakes):
    """The same mistakes made with one first key a step, under windows."""
    switches = {
        ACC.name: {"acc": False},
        L.name: {"l": False},
        NEITHER.name: {"acc": False, "l": False},
        RESET.name: {"reset": True},
    }
    return tuple(Mistake(m.name, _row_by_row(functools.partial(_steps, **switches[m.name])), m.says, m.asks) for m in mistakes)


def _rows_passed(S, w1, w2):
    """Rows of first keys that programs of one position load: for every tile of second keys those of the window."""
    return sum(min(i + 1, w1) * -(-min(i + 1, w2) // BLOCK) for i in range(S))


def _loads_what_is_seen(case):
    """Tiles of second keys once a program, rows of first keys once a tile, and neither where nobody looks."""
    seen = "a tile of second keys stays while the first keys pass by, and only keys of the windows are loaded"
    return (
        loads_at_most(
            seen,
            case,
            k2_ptr=lambda a: sum(min(i + 1, a["w2"]) for i in range(len(a["q"]))) * D,
            k1_ptr=lambda a: _rows_passed(len(a["q"]), a["w1"], a["w2"]) * D,
        ),
    )


EXERCISES = (
    Exercise(
        id="08.1",
        entry="one_tile",
        title="one query, one tile of pairs",
        objective="All pairs fit into one tile of 16 x 16: their logits by one `tl.dot`, one softmax over both axes, the output by another `tl.dot`. One program a query.",
        difficulty=2,
        minutes=20,
        arguments=(Q_ROWS, *N_KEYS, OUT),
        returns=O,
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=HAND,
        cases=lambda gen: [_pairs(gen, *s) for s in ((1, 1, 1), (2, 16, 16), (3, 5, 16), (2, 16, 7), (3, 9, 3))],
        large=lambda gen: _pairs(gen, 4096, 16, 16),
        answer=_attend,
        axes="i d",
        properties=(large_logits("q", 100.0),),
        verified="CPU, GPU",
        question="the card's logits are 0, ln 4, ln 2 for j = 0 and 0, 0, 0 for j = 1: which of them does your s2 hold, in base 2, and what do the other 250 places hold?",
        mistakes=(
            OVER_K,
            NO_SCALE,
            BASE_E,
            OTHER_BASE,
            NOT_NORMALISED,
            NO_V1,
            OVERFLOW,
            Mistake(
                "padding-counts",
                _padding_counts,
                "places of the tile that are no pair have a logit of 0 and take part in the softmax: set them to minus infinity",
                "how many of the 256 places are pairs on the card?",
            ),
            Mistake(
                "values-swapped",
                _values_swapped,
                "v1 and v2 trade places: v1 belongs to j, like k1",
                "p is [j, k]. With which values can it be multiplied from the right?",
            ),
        ),
        hints=(
            "Multiply q into every first key: [16, D]. One product with the second keys gives the whole tile of logits, [j, k].",
            "K1, K2, V1, V2 = tiles [16, D], zeros beyond n1, n2\ns2 = (q * K1) @ K2^T * SCALE_LOG2, minus infinity where it is no pair\nm, p = exp2(s2 - m), l over the whole tile\nout = sum over j of (p @ V2) * V1, divided by l",
            '`s2 = tl.dot(q[None, :] * K1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2`; `m = tl.max(tl.max(s2, 1), 0)`; `o = tl.sum(tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * V1, 0) / l`.',
        ),
    ),
    Exercise(
        id="08.2",
        entry="online",
        title="online over tiles of k",
        objective="Any number of second keys: walk over them in tiles of 16 with a running maximum, sum and accumulator. The first keys, 16 at the most, stay.",
        difficulty=2,
        minutes=20,
        arguments=(Q_ROWS, *N_KEYS, OUT),
        returns=O,
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=HAND,
        cases=lambda gen: [_pairs(gen, *s) for s in ((1, 1, 1), (2, 16, 16), (2, 5, 33), (2, 9, 40), (2, 3, 17))],
        large=lambda gen: _pairs(gen, 1024, 16, 1000),
        answer=_attend,
        axes="i d",
        properties=(large_logits("q", 100.0), BELOW),
        verified="CPU, GPU",
        question="the card fits into one tile: what are m_new, alpha, p and l in its only step?",
        mistakes=(OVER_K, NO_SCALE, BASE_E, OTHER_BASE, NOT_NORMALISED, NO_V1, OVERFLOW, ACC, L, NEITHER, LAST, RESET, K_PADDING),
        hints=(
            "The loop body is 08.1 with a tile that begins at k0. m and l are single numbers; acc may stay [16, D], one row for each j, until the end.",
            "m = -1e30, l = 0, acc = zeros [16, D]\nfor k0 in steps of 16:\n    s2 as in 08.1, lanes k0 + n < n2\n    m_new, alpha = exp2(m - m_new), p = exp2(s2 - m_new)\n    l = l * alpha + sum of p;  acc = acc * alpha + p @ V2\nout = sum over j of acc * V1, divided by l",
            "`for k0 in range(0, n2, BLOCK):` with `K2 = tl.load(k2_ptr + (k0 + n)[:, None] * D + d[None, :], mask=(k0 + n < n2)[:, None], other=0.0)`. Do not forget `m = m_new`.",
        ),
    ),
    Exercise(
        id="08.3",
        entry="loop_over_j",
        title="loop over the first key",
        objective="Any number of first keys, too: the tile of second keys stays, and first keys pass by, one row a step. Each second key is loaded once.",
        difficulty=3,
        minutes=25,
        arguments=(Q_ROWS, *N_KEYS, OUT),
        returns=O,
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=HAND,
        cases=lambda gen: [_pairs(gen, *s) for s in ((1, 1, 1), (2, 2, 16), (1, 17, 33), (1, 3, 40), (2, 3, 17))],
        large=lambda gen: _pairs(gen, 512, 32, 500),
        answer=_attend,
        axes="i d",
        properties=(
            loads_at_most("a tile stays while the first keys pass by", k2_ptr=lambda a: len(a["q"]) * a["k2"].numel()),
            large_logits("q", 100.0),
            BELOW,
        ),
        verified="CPU, GPU",
        question="the card takes two steps, j = 0 and j = 1: what are s2, m_new, alpha and acc in each?",
        mistakes=(
            OVER_K,
            NO_SCALE,
            BASE_E,
            OTHER_BASE,
            NOT_NORMALISED,
            NO_V1,
            OVERFLOW,
            Mistake(NEITHER.name, lambda **a: _steps(**a, acc=False, l=False), NEITHER.says, NEITHER.asks),
            Mistake("last-step-only", lambda **a: _steps(**a, reset=True), RESET.says.replace("tile", "step"), RESET.asks),
            Mistake(ACC.name, lambda **a: _steps(**a, acc=False), ACC.says, ACC.asks),
            Mistake(L.name, lambda **a: _steps(**a, l=False), L.says, L.asks),
            LAST,
            RESET,
            K_PADDING,
            Mistake(
                "first-key-only",
                lambda q, k1, k2, v1, v2: _attend(q, k1[:1], k2, v1[:1], v2),
                "only the first key 0 takes part: there is no loop over j, or it ends at once",
                "how many steps has your inner loop?",
            ),
        ),
        hints=(
            "For one j the logits are a vector: multiply q by k1_j, then by each row of the tile, and sum over d. No tl.dot is needed for a single query.",
            "for k0 in steps of 16:\n    K2, V2 = tiles, loaded once\n    for j in range(0, n1):\n        s2 = sum over d of (q * k1_j) * K2, minus infinity beyond n2\n        m_new, alpha, p, l as before\n        acc = acc * alpha + (sum over k of p * V2) * v1_j\nout = acc / l",
            "`s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2` and `acc = acc * alpha + tl.sum(p[:, None] * V2, 0) * v1` with `acc = tl.zeros([D], tl.float32)`.",
        ),
    ),
    Exercise(
        id="08.4",
        entry="windowed",
        title="windows and edges",
        objective="A sequence under two windows: query i sees `i - w1 < j <= i` and `i - w2 < k <= i`. Program i visits these pairs and no tile without one.",
        difficulty=3,
        minutes=25,
        arguments=(
            Argument("q", "S, D", "float", "D = 16 everywhere in this exercise"),
            *S_KEYS,
            *W,
            Argument("out", "S, D", "float", "holds NaN at first"),
        ),
        returns=Argument("out", "S, D", "float", "2-simplicial attention under both windows"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case("S=3, D=16, w1=2, w2=2", HAND_SEQUENCE),
        cases=lambda gen: [_sequence(gen, *s) for s in ((1, 1, 1), (15, 2, 4), (16, 1, 20), (33, 1, 17), (17, 2, 17), (6, 20, 2))],
        large=lambda gen: _sequence(gen, 256, 16, 64),
        answer=_windows,
        axes="i d",
        properties=(
            *_loads_what_is_seen(lambda gen: _sequence(gen, 20, 2, 3)),
            large_logits("q", 100.0),
            causal(W_NAMES, axis=0),
        ),
        verified="CPU, GPU",
        question="the card's query 1 sees four pairs: which are they, what are their logits, and which loops of yours meet them?",
        mistakes=(
            *_window_mistakes(),
            SWAPPED,
            *(_with_windows(m) for m in (OVER_K, NO_SCALE, BASE_E, OTHER_BASE, NOT_NORMALISED)),
            *_walking(ACC, L, NEITHER, RESET),
        ),
        hints=(
            "Nothing changes in the loop body of 08.3. What changes is where both loops begin and end, and which lanes of a tile count.",
            "j from max(i - w1 + 1, 0) to i\ntiles from k_lo = max(i - w2 + 1, 0) on, while they begin at or before i\na lane counts where k0 + n <= i",
            "`for k0 in range(k_lo, i + 1, BLOCK):`, `for j in range(j_lo, i + 1):` with `j_lo = tl.maximum(i - w1 + 1, 0)`. Since tiles begin at k_lo, no lane lies before the window.",
        ),
    ),
    Exercise(
        id="08.5",
        entry="packed",
        title="pack the heads",
        objective="H query heads share the keys (H up to 16). A program owns one position with all of its heads as 16 rows, so that every product is a `tl.dot` and every key row serves all heads.",
        difficulty=3,
        minutes=30,
        arguments=(
            Argument("q", "S, H, D", "float", "D = 16 and H <= 16 everywhere in this exercise"),
            *S_KEYS,
            *W,
            Argument("out", "S, H, D", "float", "holds NaN at first"),
        ),
        returns=Argument("out", "S, H, D", "float", "2-simplicial attention under both windows, for each head"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case("S=3, H=1, D=16, w1=2, w2=2", HAND_SEQUENCE | {"q": HAND_SEQUENCE["q"][:, None]}),
        cases=lambda gen: [
            _sequence(gen, *s) for s in ((1, 1, 1, 2), (2, 2, 1, 16), (16, 1, 20, 1), (20, 1, 17, 2), (19, 2, 3, 1), (3, 3, 2, 3))
        ],
        large=lambda gen: _sequence(gen, 128, 16, 64, 16),
        answer=_windows,
        axes="i h d",
        properties=(
            *_loads_what_is_seen(lambda gen: _sequence(gen, 20, 2, 3, 2)),
            large_logits("q", 100.0),
            causal(W_NAMES, axis=0),
        ),
        verified="CPU, GPU",
        question="H = 1 on the card: only row 0 of the tile is a head. What do m, l and acc hold in that row after query 1, and along which axis do your maximum and sum run?",
        mistakes=(
            *_window_mistakes(),
            SWAPPED,
            *(_with_windows(m) for m in (OVER_K, NO_SCALE, BASE_E, OTHER_BASE, NOT_NORMALISED)),
            *_walking(ACC, L, NEITHER, RESET),
            Mistake(
                "heads-outside",
                lambda q, **a: _windows(q, **a).transpose(0, 1).reshape(q.shape),
                "the output is stored as [H, S, D]: head h of position i lies at (i * H + h) * D",
                "how far apart are two heads of one position, and two positions?",
            ),
            Mistake(
                "heads-share-a-sum",
                _weights_over_heads,
                "l is summed over all heads: every row has a softmax of its own, so m and l are [16]",
                "along which axis of p does `tl.sum` run in your kernel?",
            ),
            Mistake(
                "first-head-only",
                lambda q, **a: _windows(q[:, :1], **a).expand(q.shape).contiguous(),
                "every head gives the first head's output: the rows of q are not h apart",
                "what is the offset of head h at position i?",
            ),
        ),
        hints=(
            "q becomes a tile [16, D] of heads; m and l become [16], acc [16, D]. The loops are those of 08.4, and each step is two products.",
            "h = 0 ... 15, offsets (i * H + h) * D + d, mask h < H\ns2 = (q * k1_j) @ K2^T * SCALE_LOG2, minus infinity where k0 + n > i\nm_new = maximum(m, max over k): [16]\nalpha: [16], p: [16, 16], l: [16]\nacc = acc * alpha[:, None] + (p @ V2) * v1_j",
            '`s2 = tl.where((k0 + n <= i)[None, :], tl.dot(q * k1[None, :], tl.trans(K2), input_precision="ieee") * SCALE_LOG2, -float("inf"))`, then `tl.max(s2, 1)` and `tl.sum(p, 1)`.',
        ),
    ),
)
