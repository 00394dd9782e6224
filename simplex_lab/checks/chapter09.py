"""Exercises of chapter 09: gradients of the query, of second keys and of first keys as kernels, and the paper's equations mended."""

from __future__ import annotations

import math

import torch

from simplex_lab import reference
from simplex_lab.checks.chapter08 import D, _hand_rows, _in
from simplex_lab.checks.properties import finite, no_atomics, sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.windows import visible_pairs

LOG2E = math.log2(math.e)


def _sequence(gen, S, w1, w2, gain=2.0):
    """Inputs, the forward's output and log-sum-exp, and a gradient of the output."""
    x = [sharp(gen, S, D, gain=gain if n == 0 else 1.0) for n in range(5)]
    return Case(f"S={S}, D={D}, w1={w1}, w2={w2}", _with_forward(*x, sharp(gen, S, D), w1, w2))


def _far_below(gen):
    """All logits far below 0: q and k1 positive, k2 negative."""
    q, k1, k2, v1, v2, do = (sharp(gen, 5, D, gain=100.0 if n == 0 else 1.0) for n in range(6))
    return Case("S=5, D=16, w1=2, w2=3, all logits far below 0", _with_forward(q.abs(), k1.abs(), -k2.abs(), v1, v2, do, 2, 3))


def _with_forward(q, k1, k2, v1, v2, do, w1, w2):
    o, lse2 = reference.two_simplicial(*(x.double()[None, :, None] for x in (q, k1, k2, v1, v2)), w1=w1, w2=w2)
    names = {"q": q, "k1": k1, "k2": k2, "v1": v1, "v2": v2, "o": o[0, :, 0].to(q.dtype), "do": do, "lse2": lse2[0, 0].to(q.dtype)}
    return names | {"w1": w1, "w2": w2}


def _scores(q, k1, k2):
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5


def _dense(
    q, k1, k2, v1, v2, o, do, lse2, w1, w2, *,
    delta="row", scale=None, base2=True, power=torch.exp2, logits=False, v1_in_dp=True, normalise=True, see=None,
):  # fmt: skip
    """``P`` and ``dA [S, S, S]``, the latter times the scale; each switch is a mistake."""
    see = visible_pairs(len(q), w1, w2).to(q.device) if see is None else see.to(q.device)
    A = _scores(q, k1, k2)
    s2 = A * LOG2E if base2 else A
    P = torch.where(see, power(s2 - lse2[:, None, None]) if normalise else power(s2), 0.0)
    dP = torch.einsum("id,jd,kd->ijk", do, v1 if v1_in_dp else torch.ones_like(v1), v2)
    known = torch.where(see, A, 0.0) if logits else P
    sums = {
        "row": (o * do).sum(1)[:, None, None],
        "none": 0.0,
        "added": -(o * do).sum(1)[:, None, None],
        "per j": (P * dP).sum(2)[..., None],
    }
    dA = known * (dP - sums[delta])
    return P, dA * (q.shape[1] ** -0.5 if scale is None else scale)


def _dq(k1_in=True, **switches):
    def gradient(q, k1, k2, v1, v2, o, do, lse2, w1, w2):
        _, dA = _dense(q, k1, k2, v1, v2, o, do, lse2, w1, w2, **switches)
        return torch.einsum("ijk,jd,kd->id", dA, k1 if k1_in else torch.ones_like(k1), k2)

    return gradient


def _second(**switches):
    def gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2):
        P, dA = _dense(q, k1, k2, v1, v2, o, do, lse2, w1, w2, **switches)
        return torch.stack([torch.einsum("ijk,id,jd->kd", dA, q, k1), torch.einsum("ijk,id,jd->kd", P, do, v1)])

    return gradients


def _first(**switches):
    def gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2):
        P, dA = _dense(q, k1, k2, v1, v2, o, do, lse2, w1, w2, **switches)
        return torch.stack([torch.einsum("ijk,id,kd->jd", dA, q, k2), torch.einsum("ijk,id,kd->jd", P, do, v2)])

    return gradients


def _exchanged(gradients):
    """The two outputs trade places."""
    return lambda **a: gradients()(**a).flip(0)


def _seeing(gradient, rule):
    def wrong(q, w1, w2, **a):
        n = torch.arange(len(q))
        see = rule(n[:, None, None], n[None, :, None], n[None, None, :], w1, w2)
        return gradient(see=see.expand(len(q), len(q), len(q)))(q=q, w1=w1, w2=w2, **a)

    return wrong


def _common(gradient):
    """What may go wrong in all three kernels."""
    return (
        Mistake(
            "no-scale",
            gradient(scale=1.0),
            "the scale D ** -0.5 is missing: dq, dk1 and dk2 carry it (the paper's equations leave it out)",
            "the logits are scale times a product. What is their derivative?",
        ),
        Mistake(
            "delta-forgotten",
            gradient(delta="none"),
            "dA is P dP here: the softmax's own derivative, minus delta, is missing",
            "add the same number to all dP of a row. May dA change?",
        ),
        Mistake(
            "delta-added",
            gradient(delta="added"),
            "delta is added to dP instead of subtracted",
            "the dA of a row sum to zero. Do yours?",
        ),
        Mistake(
            "delta-per-step",
            gradient(delta="per j"),
            "delta is summed over one step's pairs: it is one number a row, `sum_d o_d do_d`",
            "how many numbers is delta for a query?",
        ),
        Mistake(
            "exp-for-exp2",
            gradient(power=torch.exp),
            "s2 and lse2 are in base 2: their difference is an exponent of 2",
            "exp or exp2?",
        ),
        Mistake(
            "log2e-in-the-gradient",
            gradient(scale=D**-0.5 * LOG2E),
            "the gradient carries SCALE_LOG2 where it should carry the scale alone",
            "o depends on the logits in base e. Which factor do they have before q?",
        ),
        Mistake(
            "sees-the-future",
            _seeing(gradient, lambda i, j, k, w1, w2: _in(j, i, w1) & (k > i - w2)),
            "second keys behind the query take part: k <= i is not masked",
            "which of the tile's lanes does query 0 see?",
        ),
        Mistake(
            "windows-swapped",
            _seeing(gradient, lambda i, j, k, w1, w2: _in(j, i, w2) & _in(k, i, w1)),
            "w1 bounds k and w2 bounds j: they trade places",
            "which window belongs to k1?",
        ),
        Mistake(
            "j-window-forgotten",
            _seeing(gradient, lambda i, j, k, w1, w2: (j <= i) & _in(k, i, w2)),
            "first keys before the window take part: w1 is not used",
            "with which j does the inner loop begin, and with which query does it end?",
        ),
        Mistake(
            "weights-not-normalised",
            gradient(normalise=False),
            "P is 2^s2 without lse2: the weights do not sum to 1",
            "which number did the forward keep for every row, and what for?",
        ),
        Mistake(
            "wrong-base",
            gradient(base2=False),
            "the logits are in base e and lse2 is in base 2: multiply them by log2(e)",
            "what does SCALE_LOG2 hold that the scale does not?",
        ),
        Mistake(
            "logits-for-weights",
            gradient(logits=True),
            "the logits A stand where the weights P belong, as the paper's equations print it",
            "which of the two is the softmax's output?",
        ),
        Mistake(
            "v1-forgotten",
            gradient(v1_in_dp=False),
            "dP leaves v1 out: a pair's value is v1_j * v2_k",
            "the output is sum P v1 v2. What is its derivative by P?",
        ),
        Mistake(
            "w1-one-too-wide",
            _seeing(gradient, lambda i, j, k, w1, w2: _in(j, i, w1 + 1) & _in(k, i, w2)),
            "the window for j is one too wide",
            "w1 = 1: which queries see first key j?",
        ),
        Mistake(
            "k-window-forgotten",
            _seeing(gradient, lambda i, j, k, w1, w2: _in(j, i, w1) & (k <= i)),
            "second keys before the window take part: w2 is not used",
            "with which k does the first tile begin?",
        ),
        Mistake(
            "w2-one-too-wide",
            _seeing(gradient, lambda i, j, k, w1, w2: _in(j, i, w1) & _in(k, i, w2 + 1)),
            "the window for k is one too wide",
            "w2 = 1: which queries see second key k?",
        ),
    )


# --- 09.4: all five, every pair visible ----------------------------------------------------------------------------------


def _five(q, k1, k2, v1, v2, do, *, weights=True, scale=True, eq15=True, delta="row"):
    """``[5, S, D]``: dq, dk1, dk2, dv1, dv2 when every query sees every pair; each switch is an erratum or a mistake."""
    A = _scores(q, k1, k2)
    P = A.flatten(1).softmax(1).view_as(A)
    dP = torch.einsum("id,jd,kd->ijk", do, v1, v2)
    sums = {"row": (P * dP).sum((1, 2), keepdim=True), "per j": (P * dP).sum(2, keepdim=True), "none": 0.0}
    dA = P * (dP - sums[delta]) * (q.shape[1] ** -0.5 if scale else 1.0)
    known = P if weights else A
    dk2 = torch.einsum("ijk,id,jd->kd" if eq15 else "ijk,id,kd->jd", dA, q, k1)
    return torch.stack(
        [
            torch.einsum("ijk,jd,kd->id", dA, k1, k2),
            torch.einsum("ijk,id,kd->jd", dA, q, k2),
            dk2,
            torch.einsum("ijk,id,kd->jd", known, do, v2),
            torch.einsum("ijk,id,jd->kd", known, do, v1),
        ]
    )


def printed(q, k1, k2, v1, v2, do):
    """The five gradients as the paper's equations 10 to 16 print them: A for P, eq. 15 summed over i and k, no scale."""
    return _five(q, k1, k2, v1, v2, do, weights=False, scale=False, eq15=False)


def _full(gen, S, D, gain=1.5):
    names = ("q", "k1", "k2", "v1", "v2", "do")
    return Case(f"S={S}, D={D}", {name: sharp(gen, S, D, gain=gain if name == "q" else 1.0) for name in names})


ARGUMENTS = (
    Argument("q", "S, D", "float", "D = 16 everywhere in this exercise"),
    *(Argument(name, "S, D", "float", "contiguous, like all of them") for name in ("k1", "k2", "v1", "v2")),
    Argument("o", "S, D", "float", "the forward's output"),
    Argument("do", "S, D", "float", "its gradient"),
    Argument("lse2", "S", "float", "the forward's log-sum-exp, base 2"),
    Argument("w1", "", "int", "window for j: `i - w1 < j <= i`"),
    Argument("w2", "", "int", "window for k: `i - w2 < k <= i`"),
)


HAND = Case(
    "S=2, D=16, w1=2, w2=1",
    _with_forward(
        _hand_rows([[4.0], [4.0]]),
        _hand_rows([[0.0, 1.0], [math.log(3), 0.0]]),
        _hand_rows([[1.0, 1.0], [1.0, 2.0]]),
        _hand_rows([[1.0, 1.0], [2.0, 0.0]]),
        _hand_rows([[1.0, 2.0], [3.0, 1.0]]),
        _hand_rows([[1.0, 0.0], [1.0, 2.0]]),
        2,
        1,
    ),
)
SIZES = ((2, 1, 2), (15, 2, 4), (17, 1, 20), (6, 20, 2), (36, 1, 36), (28, 2, 10))
PAIR = "two outputs in one tensor: {0}[0] and {0}[1]"


def _kernel(id, entry, title, objective, returns, answer, mistakes, hints, question, axes, minutes=25):
    return Exercise(
        id=id,
        entry=entry,
        title=title,
        objective=objective,
        difficulty=3,
        minutes=minutes,
        arguments=(*ARGUMENTS, Argument("out", returns.shape, "float", "holds NaN at first")),
        returns=returns,
        writes="out",
        kernel=True,
        layout="contiguous",
        floor=0.05,  # dP - delta: a row of one heavy pair has a gradient of nearly 0, and dP of the size of 1
        hand=HAND,
        cases=lambda gen: [_sequence(gen, *s) for s in SIZES],
        large=lambda gen: _sequence(gen, 192, 16, 48),
        answer=answer,
        axes=axes,
        properties=(
            finite(
                _far_below,
                "all logits are far below 0, and some number is not finite",
                "lse2 is near -250 there. What is 2^(0 - lse2), the weight of a lane that holds zeros, and what is it times 0?",
            ),
            no_atomics,
        ),
        verified="CPU, GPU",
        question=question,
        mistakes=mistakes,
        hints=hints,
    )


EXERCISES = (
    _kernel(
        "09.1",
        "query_gradient",
        "the query's gradient",
        "Write the kernel of dq. Program i owns row i and walks as the forward does; it computes each weight anew from lse2.",
        Argument("out", "S, D", "float", "`dq_id = scale sum_jk dA_ijk k1_jd k2_kd`"),
        _dq(),
        (
            *_common(_dq),
            Mistake(
                "k1-forgotten",
                _dq(k1_in=False),
                "k1_j is missing from dq: the logit's derivative by q is k1_j * k2_k",
                "after the sum over k, what is still to be multiplied in?",
            ),
        ),
        (
            "Three products for each tile and j. The first two give s2 and dP, of the same shape; then dA = P (dP - delta) meets the tile of second keys.",
            "delta = sum over d of o * do, once\nfor k0, for j as in 08.4:\n    s2 = (q * k1_j) . K2 * scale_log2;  p = 2^(s2 - lse2), 0 where k > i\n    dp = (do * v1_j) . V2\n    da = p * (dp - delta)\n    dq += (sum over k of da * K2) * k1_j\nstore dq * scale",
            "`p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)`, `dq += tl.sum(da[:, None] * K2, 0) * k1`, and `D**-0.5` at the end. No running maximum: lse2 is final.",
        ),
        "row 1 sees two pairs, with P = 1/4 and 3/4: what are their dP, what is delta, and so dA?",
        "i d",
    ),
    _kernel(
        "09.2",
        "second_key_gradients",
        "gradients of the second keys",
        "Write the kernel of dk2 and dv2. A program owns a tile of 16 second keys and lets the queries that see some of them pass by; nobody else writes its rows.",
        Argument("out", "2, S, D", "float", PAIR.format("out") + ", dk2 and dv2"),
        _second(),
        (
            *_common(_second),
            Mistake("outputs-exchanged", _exchanged(_second), "dk2 and dv2 trade places", "out[0] is dk2: which sum is it?"),
        ),
        (
            "Now sums run over queries. For a pair (i, j) the tile's logits are a vector over k, as before; what it adds goes to the rows of k.",
            "for i from k0 to the last query that sees some k of the tile:\n    load q, do, lse2; delta\n    for j in the window of i:\n        s2, p, dp, da: vectors over k; p = 0 where the query does not see k\n        dk2 += da[:, None] * (q * k1_j);  dv2 += p[:, None] * (do * v1_j)\nstore dk2 * scale and dv2",
            "Query i sees k where `(k <= i) & (k > i - w2)`. The last query is below `tl.minimum(k0 + BLOCK + w2 - 1, S)`. dv2 lies S * D behind dk2.",
        ),
        "the card has w2 = 1: only query 1 sees second key 1, with P = 1/4 and 3/4 for j = 0 and 1. What are dv2 and dk2 there?",
        "gradient k d",
    ),
    _kernel(
        "09.3",
        "first_key_gradients",
        "gradients of the first keys",
        "Write the kernel of dk1 and dv1. Program j owns first key j; the queries that see it are j to j + w1 - 1. No atomics.",
        Argument("out", "2, S, D", "float", PAIR.format("out") + ", dk1 and dv1"),
        _first(),
        (
            *_common(_first),
            Mistake("outputs-exchanged", _exchanged(_first), "dk1 and dv1 trade places", "out[0] is dk1: which sum is it?"),
        ),
        (
            "Fix j. Each of its w1 queries brings a walk over tiles of second keys, and the sums over k are those of dq and of the output.",
            "for i from j to min(j + w1, S) - 1:\n    load q, do, lse2; delta\n    for tiles of k in the window of i:\n        s2, p, dp, da: vectors over k\n        dk1 += q * (sum over k of da * K2);  dv1 += do * (sum over k of p * V2)\nstore dk1 * scale and dv1",
            "`dk1 += q * tl.sum(da[:, None] * K2, 0)` and `dv1 += do * tl.sum(p[:, None] * V2, 0)`. Tiles run from `tl.maximum(i - w2 + 1, 0)` to i.",
        ),
        "queries 0 and 1 of the card see first key 0, with weights 1 and 1/4. What does each add to dv1, and what to dk1?",
        "gradient j d",
    ),
    Exercise(
        id="09.4",
        entry="mended",
        title="the paper's equations (debug)",
        objective="`printed`, above, computes the five gradients as equations 10 to 16 of the paper print them. Three things in them are slips. Find them against autograd, and write the function anew, without autograd.",
        difficulty=2,
        minutes=20,
        arguments=(
            *(Argument(name, "S, D", "float", "every query sees every pair") for name in ("q", "k1", "k2", "v1", "v2")),
            Argument("do", "S, D", "float", "gradient of the output"),
        ),
        returns=Argument("gradients", "5, S, D", "that of q", "dq, dk1, dk2, dv1, dv2, stacked"),
        hand=Case(
            "S=2, D=4",
            {
                name: torch.tensor([[x, 0.0, 0.0, 0.0], [y, 0.0, 0.0, 0.0]])
                for name, x, y in (
                    ("q", 2.0, 0.0),
                    ("k1", 0.0, math.log(2)),
                    ("k2", 0.0, 1.0),
                    ("v1", 1.0, 3.0),
                    ("v2", 2.0, 1.0),
                    ("do", 1.0, 2.0),
                )
            },
        ),
        cases=lambda gen: [_full(gen, *s) for s in ((1, 3), (3, 4), (5, 2), (4, 16))],
        answer=_five,
        axes="gradient n d",
        question="compare each of the five with autograd: which are off by a factor, and which are another sum?",
        mistakes=(
            Mistake(
                "as-printed",
                printed,
                "that is still the paper's print: all three slips are there",
                "divide each gradient by autograd's: where is the ratio the same number everywhere?",
            ),
            Mistake(
                "no-scale",
                lambda **a: _five(**a, scale=False),
                "dq, dk1 and dk2 lack the scale D ** -0.5",
                "the logits are scale times a product. What is their derivative?",
            ),
            Mistake(
                "logits-for-weights",
                lambda **a: _five(**a, weights=False),
                "dv1 and dv2 are weighted with the logits A; they belong to the weights P",
                "the output is sum P v1 v2. What is its derivative by v1?",
            ),
            Mistake(
                "eq-15",
                lambda **a: _five(**a, eq15=False),
                "dk2 is still summed over i and k, as equation 15 prints it: k is its own index",
                "over which two indices must dk2_k be summed?",
            ),
            Mistake(
                "delta-forgotten",
                lambda **a: _five(**a, delta="none"),
                "dA is P dP: delta is missing",
                "add the same number to all dP of a row. May dA change?",
            ),
            Mistake(
                "delta-per-j",
                lambda **a: _five(**a, delta="per j"),
                "delta is summed over k for each j: the softmax is joint, so it is one number a row",
                "delta_i is sum_d o_id do_id. How many numbers is that?",
            ),
        ),
        hints=(
            "One slip is in a single gradient, one in two, one in three of them. Autograd tells which are wrong; the shapes of the sums tell why.",
            "weights P, not logits A, multiply do in dv1 and dv2\ndk2_k is a sum over i and j\ndq, dk1, dk2 carry scale = D ** -0.5",
            '`torch.einsum("ijk,id,jd->kd", dA, q, k1)` is dk2, where `dA = scale * P * (dP - delta)` and `delta = (P * dP).sum((1, 2), keepdim=True)`.',
        ),
    ),
)
