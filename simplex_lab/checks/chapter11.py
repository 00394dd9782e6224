"""Exercises of chapter 11: weights of an attention, RoPE, normed logits, a whole 2-simplicial attention with shared key heads."""

from __future__ import annotations

import torch

from simplex_lab import reference, rotations
from simplex_lab.checks.properties import causal, sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.model import PROJECTIONS
from simplex_lab.windows import visible_pairs

# --- 11.1 ----------------------------------------------------------------------------------------------------------------


def _weights(width, heads, key_heads, kind, *, output=True, shared=True, parts=None):
    D, n = width // heads, (PROJECTIONS[kind] if parts is None else parts) - 1
    return width * D * (heads + n * (key_heads if shared else heads)) + output * width**2


def _sizes(width, heads, key_heads, kind):
    return Case(
        f"width={width}, heads={heads}, key_heads={key_heads}, {kind}",
        {"width": width, "heads": heads, "key_heads": key_heads, "kind": kind},
    )


# --- 11.2 ----------------------------------------------------------------------------------------------------------------


def _rope(x, *, base=10_000.0, sign=1, first=0, halves=False, exponent=2):
    S, D = x.shape
    pairs = torch.arange(D // 2, dtype=torch.float64)
    angle = sign * (torch.arange(S, dtype=torch.float64)[:, None] + first) * base ** (-exponent * pairs / D)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = (x[:, : D // 2], x[:, D // 2 :]) if halves else (x[:, ::2], x[:, 1::2])
    turned = a * cos - b * sin, a * sin + b * cos
    return torch.cat(turned, 1) if halves else torch.stack(turned, 2).flatten(1)


def _right_rope(x):
    return rotations.rotate_pairs(x[None, :, None])[0, :, 0]


# --- 11.3 ----------------------------------------------------------------------------------------------------------------


def _normed(q, k1, k2, *, which=(True, True, True), dims=(-1,), mean=True, scale=None):
    D = q.shape[-1]

    def norm(x):
        size = x.square().mean(dims, keepdim=True) if mean else x.square().sum(dims, keepdim=True)
        return x * torch.rsqrt(size)

    q, k1, k2 = (norm(x) if yes else x for x, yes in zip((q, k1, k2), which, strict=True))
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * (D**-0.5 if scale is None else scale)


def _vectors(gen, S, D):
    return Case(f"S={S}, D={D}", {name: sharp(gen, S, D, gain=g) for name, g in (("q", 3.0), ("k1", 0.5), ("k2", 1.0))})


# --- 11.4 ----------------------------------------------------------------------------------------------------------------


def _layer(x, Wq, Wk1, Wk2, Wv1, Wv2, Wo, H, *, mask=True, scale=None, output=True, modulo=False, channels_first=False, over_k=False):
    S, width = x.shape
    D = width // H

    def heads(W):
        y = x @ W.T
        return y.view(S, D, -1).transpose(1, 2) if channels_first else y.view(S, -1, D)

    q, k1, k2, v1, v2 = (heads(W)[None] for W in (Wq, Wk1, Wk2, Wv1, Wv2))
    if modulo:
        order = torch.arange(H) % k1.shape[2]
        k1, k2, v1, v2 = (t[:, :, order] for t in (k1, k2, v1, v2))
    o = reference.two_simplicial(q, k1, k2, v1, v2, causal=mask, scale=scale).o[0]
    if over_k:
        A = reference.trilinear_logits(q, k1, k2).masked_fill(~visible_pairs(S), -torch.inf)
        P = A.softmax(-1).nan_to_num(0.0)[0]
        v1, v2 = (t[0].repeat_interleave(H // t.shape[2], 1) for t in (v1, v2))
        o = torch.einsum("hijk,jhd,khd->ihd", P, v1, v2)
    o = (o.transpose(1, 2) if channels_first else o).reshape(S, width)
    return o @ Wo.T if output else o


def _inputs(gen, S, width, H, Hkv):
    D = width // H
    args = {"x": sharp(gen, S, width)}
    for name, rows in (("Wq", H * D), *((n, Hkv * D) for n in ("Wk1", "Wk2", "Wv1", "Wv2")), ("Wo", width)):
        args[name] = sharp(gen, rows, width, gain=1.5 * width**-0.5)
    return Case(f"S={S}, width={width}, H={H}, Hkv={Hkv}", args | {"H": H})


EYE = [[1.0, 0.0], [0.0, 1.0]]
EXERCISES = (
    Exercise(
        id="11.1",
        entry="attention_weights",
        title="weights of an attention (derive)",
        objective="How many weights has the attention of a layer? Projections have no biases. `kind` is `dot` (q, k, v) or `simplicial` (q, k1, k2, v1, v2); keys and values have `key_heads` heads.",
        difficulty=1,
        minutes=10,
        arguments=(
            Argument("width", "", "int", "width of the stream; a head has width / heads channels"),
            Argument("heads", "", "int", "query heads"),
            Argument("key_heads", "", "int", "divides heads"),
            Argument("kind", "", "str", "`dot` or `simplicial`"),
        ),
        returns=Argument("count", "", "int", "all projections, that of the output included"),
        hand=_sizes(4, 2, 1, "dot"),
        cases=lambda gen: [
            _sizes(*s)
            for s in (
                (8, 2, 2, "simplicial"),
                (64, 4, 1, "simplicial"),
                (64, 4, 4, "dot"),
                (4096, 64, 1, "simplicial"),
                (96, 6, 2, "simplicial"),
            )
        ],
        answer=lambda width, heads, key_heads, kind: torch.tensor(_weights(width, heads, key_heads, kind)),
        question="the card has two channels a head: how many rows has q's projection, how many have k's and v's, and what comes last?",
        mistakes=(
            Mistake(
                "no-output",
                lambda **a: torch.tensor(_weights(**a, output=False)),
                "the output's projection is missing",
                "what mixes the heads at the end?",
            ),
            Mistake(
                "not-shared",
                lambda **a: torch.tensor(_weights(**a, shared=False)),
                "keys and values have key_heads heads, not heads",
                "how many rows has the projection of k when two query heads share a key head?",
            ),
            Mistake(
                "three-for-five",
                lambda **a: torch.tensor(_weights(**a, parts=3)),
                "a 2-simplicial attention projects five times before the output: q, k1, k2, v1, v2",
                "which tensors does the layer read?",
            ),
        ),
        hints=(
            "Each projection is a matrix from the width to some heads times the channels of a head.",
            "D = width / heads\nq: heads * D rows;  each key or value: key_heads * D rows, two of them or four\noutput: width * width\nevery row has width weights",
            '`n = 2 if kind == "dot" else 4`, `width * (width // heads) * (heads + n * key_heads) + width * width`.',
        ),
    ),
    Exercise(
        id="11.2",
        entry="rope",
        title="turn by position",
        objective="RoPE: turn the channels 2 l and 2 l + 1 of position t by the angle `t * 10000 ** (-2 l / D)`: `(a, b)` becomes `(a cos - b sin, a sin + b cos)`.",
        difficulty=2,
        minutes=15,
        arguments=(Argument("x", "S, D", "float", "D is even; position 0 comes first"),),
        returns=Argument("y", "S, D", "that of x", "x with its pairs of channels turned"),
        hand=Case("S=3, D=2", {"x": torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])}),
        cases=lambda gen: [Case(f"S={S}, D={D}", {"x": sharp(gen, S, D)}) for S, D in ((1, 2), (5, 4), (9, 8), (33, 16))],
        answer=_right_rope,
        axes="t d",
        question="position 1 of the card is (1, 0) and turns by one radian: where does it end?",
        mistakes=(
            Mistake(
                "halves",
                lambda x: _rope(x, halves=True),
                "channels l and l + D / 2 are paired; here it is 2 l and 2 l + 1 (both conventions are in use; a model keeps to one)",
                "which channel turns together with channel 0?",
            ),
            Mistake(
                "other-way",
                lambda x: _rope(x, sign=-1),
                "it turns the other way: the sign of sin is exchanged",
                "where does (1, 0) go when it turns by a small positive angle?",
            ),
            Mistake(
                "from-one",
                lambda x: _rope(x, first=1),
                "positions are counted from 1: position 0 stays as it is",
                "by which angle does the first position turn?",
            ),
            Mistake(
                "rate-too-slow",
                lambda x: _rope(x, exponent=1),
                "the exponent is -l / D where it should be -2 l / D",
                "by which factor do the rates of the first and the last pair differ?",
            ),
        ),
        hints=(
            "An angle for each position and pair: [S, D / 2]. Even channels and odd channels are two tensors of that shape.",
            "l = 0 ... D / 2 - 1, t = 0 ... S - 1\nangle = t * 10000 ** (-2 l / D)\neven, odd = x[:, ::2], x[:, 1::2]\nput even * cos - odd * sin and even * sin + odd * cos back side by side",
            "`torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(1)`.",
        ),
    ),
    Exercise(
        id="11.3",
        entry="normed_logits",
        title="logits that cannot explode",
        objective="Trilinear logits of q, k1 and k2, each first divided by its root mean square over the channels.",
        difficulty=1,
        minutes=10,
        arguments=(
            Argument("q", "S, D", "float", "no row is zero"),
            Argument("k1", "S, D", "float", "no row is zero"),
            Argument("k2", "S, D", "float", "no row is zero"),
        ),
        returns=Argument("A", "S, S, S", "that of q", "`A_ijk = D ** -0.5 sum_d q_id k1_jd k2_kd` of the normed vectors"),
        hand=Case(
            "S=1, D=4",
            {
                "q": torch.tensor([[2.0, 2.0, 2.0, 2.0]]),
                "k1": torch.tensor([[3.0, 3.0, 3.0, 3.0]]),
                "k2": torch.tensor([[5.0, -5.0, 5.0, 5.0]]),
            },
        ),
        cases=lambda gen: [_vectors(gen, *s) for s in ((1, 1), (2, 3), (5, 8), (4, 16))],
        answer=_normed,
        axes="i j k",
        question="all entries of the card's vectors have the same size: what is left of them once they are divided by it?",
        mistakes=(
            Mistake("plain", lambda **a: _normed(**a, which=(False,) * 3), "nothing is normed", "multiply q by 10: may A change?"),
            Mistake(
                "length",
                lambda **a: _normed(**a, mean=False),
                "divided by the length, the square root of the sum: the root MEAN square is smaller by sqrt(D)",
                "what is the root mean square of (2, 2, 2, 2)?",
            ),
            Mistake(
                "q-alone",
                lambda **a: _normed(**a, which=(True, False, False)),
                "q is normed, the keys are not",
                "multiply k1 by 10: may A change?",
            ),
            Mistake("k2-not", lambda **a: _normed(**a, which=(True, True, False)), "k2 is not normed", "multiply k2 by 10: may A change?"),
            Mistake(
                "no-scale", lambda **a: _normed(**a, scale=1.0), "the factor D ** -0.5 is missing", "how large can the sum over d become?"
            ),
        ),
        hints=(
            "Three times the same: square, mean over the channels, root, divide. Then one einsum.",
            "x / sqrt(mean over d of x^2), for q, k1 and k2\nA = sum over d of the product of the three, times D ** -0.5",
            '`x * torch.rsqrt(x.square().mean(-1, keepdim=True))`, then `torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5`.',
        ),
    ),
    Exercise(
        id="11.4",
        entry="simplicial_layer",
        title="the whole attention",
        objective="A causal 2-simplicial attention from its weights, with H query heads and as many key heads as Wk1 has room for. Query head h uses key head `h // (H // Hkv)`.",
        difficulty=3,
        minutes=25,
        arguments=(
            Argument("x", "S, width", "float", "the stream, already normed"),
            Argument("Wq", "width, width", "float", "rows are outputs: `q = x @ Wq.T`, head after head"),
            *(Argument(n, "Hkv * D, width", "float", "D = width / H") for n in ("Wk1", "Wk2", "Wv1", "Wv2")),
            Argument("Wo", "width, width", "float", "mixes the heads"),
            Argument("H", "", "int", "query heads"),
        ),
        returns=Argument("y", "S, width", "that of x", "what the attention adds to the stream"),
        hand=Case(
            "S=2, width=2, H=1",
            {
                "x": torch.tensor(EYE),
                "Wq": torch.tensor([[1.0, 1.0], [0.0, 1.0]]),
                **{n: torch.tensor(EYE) for n in ("Wk1", "Wk2")},
                "Wv1": torch.tensor([[1.0, 2.0], [1.0, 1.0]]),
                "Wv2": torch.tensor([[2.0, 1.0], [0.0, 3.0]]),
                "Wo": torch.tensor([[0.0, 1.0], [2.0, 0.0]]),
                "H": 1,
            },
        ),
        cases=lambda gen: [_inputs(gen, *s) for s in ((1, 4, 1, 1), (3, 4, 2, 2), (5, 12, 4, 2), (4, 12, 6, 3), (6, 16, 4, 1))],
        answer=_layer,
        axes="i d",
        properties=(causal(("x",), axis=0),),
        question="query 1 of the card sees four pairs: what are their four logits, to what do their weights sum, and what does Wo make of the result?",
        mistakes=(
            Mistake("no-output", lambda **a: _layer(**a, output=False), "Wo is never used", "what mixes the heads at the end?"),
            Mistake(
                "not-causal", lambda **a: _layer(**a, mask=False), "queries see pairs of later positions", "which pairs may query 0 see?"
            ),
            Mistake(
                "no-scale",
                lambda **a: _layer(**a, scale=1.0),
                "the scale D ** -0.5 is missing",
                "what is D when the width is 12 and H is 4?",
            ),
            Mistake(
                "key-heads-in-turn",
                lambda **a: _layer(**a, modulo=True),
                "query head h uses key head h % Hkv: neighbours should share one, h // (H // Hkv)",
                "H = 4, Hkv = 2: which query heads share key head 0?",
            ),
            Mistake(
                "softmax-over-k",
                lambda **a: _layer(**a, over_k=True),
                "you normalised over k for each j; the softmax is joint over (j, k)",
                "to what do the weights of query 1 sum over both axes?",
            ),
            Mistake(
                "heads-interleaved",
                lambda **a: _layer(**a, channels_first=True),
                "channels and heads are exchanged: the rows of W come head after head",
                "to which head does the second row of Wq belong?",
            ),
        ),
        hints=(
            "Project, split into heads, attend, put the heads side by side, project again. The attention itself is 03.4, for every head.",
            "q = (x @ Wq.T).view(S, H, D); k1 and so on with Hkv heads\nrepeat each key head for its H / Hkv query heads\nA[h, i, j, k], minus infinity where j > i or k > i, softmax over (j, k) together\no[i, h] = sum of P * v1_j * v2_k; y = o.reshape(S, width) @ Wo.T",
            '`k1.repeat_interleave(H // Hkv, 1)` and `A = torch.einsum("ihd,jhd,khd->hijk", q, k1, k2) * D ** -0.5`; the mask: `n = torch.arange(S)`, `n[:, None, None] >= torch.maximum(n[None, :, None], n[None, None, :])`.',
        ),
    ),
)
