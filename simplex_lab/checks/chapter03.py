"""Exercises of chapter 03: trilinear logits by loops, one softmax over pairs, products of values, windows, heads."""

from __future__ import annotations

import torch

from simplex_lab import reference
from simplex_lab.checks.properties import causal, large_logits, sharp, sums_to_one
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.windows import visible, visible_pairs

NAMES = ("q", "k1", "k2", "v1", "v2")


def _tokens(gen, S, D, w1=None, w2=None, H=None, Hkv=None, names=NAMES):
    shape = {"q": () if H is None else (H,)}
    args = {n: sharp(gen, S, *shape.get(n, () if Hkv is None else (Hkv,)), D, gain=2.5 if n == "q" else 1.0) for n in names}
    label = f"S={S}, D={D}" + (f", H={H}, Hkv={Hkv}" if H else "")
    if w1 is not None:
        args |= {"w1": w1, "w2": w2}
        label += f", w1={w1}, w2={w2}"
    return Case(label, args)


def _hidden_logits(gen, S):
    """Logits of a causal layer: hidden pairs are -inf, each query sees at least itself."""
    return Case(f"S={S}, causal", {"logits": sharp(gen, S, S, S, gain=2.0).masked_fill(~visible_pairs(S), -torch.inf)})


def _weights(gen, S):
    return sharp(gen, S, S * S, gain=2.0).softmax(-1).view(S, S, S)


def _logits(q, k1, k2, scale=None):
    return torch.einsum("id,jd,kd->ijk", q, k1, k2) * (q.shape[-1] ** -0.5 if scale is None else scale)


def _joint(A):
    return A.flatten(1).softmax(-1).view_as(A)


def _attend(q, k1, k2, v1, v2, w1, w2, scale=None):
    """The reference on tensors without batch and, where they have none, without heads."""
    flat = q.dim() == 2
    parts = [x[None, :, None] if flat else x[None] for x in (q, k1, k2, v1, v2)]
    o = reference.two_simplicial(*parts, w1=w1, w2=w2, scale=scale).o[0]
    return o[:, 0] if flat else o


def _with_mask(mask, softmax=_joint, keep_nan=False):
    """The mistake of using another mask, or another softmax, in an otherwise right layer."""

    def wrong(q, k1, k2, v1, v2, w1, w2):
        A = _logits(q, k1, k2).masked_fill(~mask(len(q), w1, w2), -torch.inf)
        P = softmax(A) if keep_nan else softmax(A).nan_to_num(0)
        return torch.einsum("ijk,jd,kd->id", P, v1, v2)

    return wrong


def _mask_afterwards(q, k1, k2, v1, v2, w1, w2):
    P = _joint(_logits(q, k1, k2)) * visible_pairs(len(q), w1, w2)
    return torch.einsum("ijk,jd,kd->id", P, v1, v2)


def _only_lower(q, k1, k2):
    A = _logits(q, k1, k2)
    S = len(q)
    return A.masked_fill(~torch.ones(S, S).tril().bool(), torch.nan)


def _heads(q, *keys, tile):
    group = q.shape[1] // keys[0].shape[1]
    return [x.repeat(1, group, 1) if tile else x.repeat_interleave(group, 1) for x in keys]


def _softmax_with_heads(q, k1, k2, v1, v2, w1, w2):
    k1, k2, v1, v2 = _heads(q, k1, k2, v1, v2, tile=False)
    A = torch.einsum("ihd,jhd,khd->ihjk", q, k1, k2) * q.shape[-1] ** -0.5
    A = A.masked_fill(~visible_pairs(len(q), w1, w2)[:, None], -torch.inf)
    return torch.einsum("ihjk,jhd,khd->ihd", A.flatten(1).softmax(-1).view_as(A), v1, v2)


Q = Argument("q", "S, D", "float", "one query a token")
K1 = Argument("k1", "S, D", "float", "first keys, index j")
K2 = Argument("k2", "S, D", "float", "second keys, index k")
V1 = Argument("v1", "S, D", "float", "values of the first keys")
V2 = Argument("v2", "S, D", "float", "values of the second keys")
W1 = Argument("w1", "", "int", "window for j: `i - w1 < j <= i`; may exceed S")
W2 = Argument("w2", "", "int", "window for k: `i - w2 < k <= i`; may exceed S")

HAND_KEYS = {
    "q": torch.tensor([[1.0, 0.0], [1.0, 2.0]]),
    "k1": torch.tensor([[1.0, 1.0], [2.0, 0.0]]),
    "k2": torch.tensor([[1.0, 3.0], [0.0, 1.0]]),
}
HAND_VALUES = {
    "v1": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    "v2": torch.tensor([[10.0, 1.0], [0.0, 5.0]]),
}
HAND_LAYER = {
    "q": torch.tensor([[1.0, 0.0], [1.0, 2.0], [0.0, 1.0]]),
    "k1": torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 1.0]]),
    "k2": torch.tensor([[1.0, 3.0], [0.0, 1.0], [1.0, 1.0]]),
    "v1": torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 0.0]]),
    "v2": torch.tensor([[10.0, 1.0], [0.0, 5.0], [1.0, 1.0]]),
}
WINDOWS = ((1, 1, 1), (15, 4, 7), (16, 16, 3), (17, 2, 40), (33, 5, 9))  # S, w1, w2

EXERCISES = (
    Exercise(
        id="03.1",
        entry="fill_logits",
        title="trilinear logits, with loops",
        objective="Fill `out[i, j, k] = sum_d q[i, d] k1[j, d] k2[k, d] / sqrt(D)` for every i, j and k. Loops are welcome here.",
        difficulty=1,
        minutes=10,
        arguments=(Q, K1, K2, Argument("out", "S, S, S", "float", "full of NaN; you write every entry")),
        returns=Argument("out", "S, S, S", "that of q", "every entry written, nothing outside of it"),
        writes="out",
        hand=Case("S=2, D=2", HAND_KEYS),
        cases=lambda gen: [_tokens(gen, S, D, names=NAMES[:3]) for S, D in ((1, 2), (2, 5), (5, 3), (7, 4))],
        answer=lambda q, k1, k2: _logits(q, k1, k2),
        axes="i j k",
        question="compute out[0, 0, 1] of the card by hand, and compare",
        mistakes=(
            Mistake(
                "no-scale",
                lambda q, k1, k2: _logits(q, k1, k2, scale=1.0),
                "the scale 1/sqrt(D) is missing",
                "what is D here, and where does it enter?",
            ),
            Mistake(
                "swapped-keys",
                lambda q, k1, k2: _logits(q, k2, k1),
                "j and k have traded places: j picks a row of k1, k a row of k2",
                "which index belongs to k1 in the formula?",
            ),
            Mistake(
                "sum-of-pairs",
                lambda q, k1, k2: ((q @ k1.T)[:, :, None] + (q @ k2.T)[:, None, :]) * q.shape[-1] ** -0.5,
                "you added two dot products, <q, k1> + <q, k2>: then j and k never meet. It is one sum over d of a product of three",
                "if k1_j changes, does your score for k change with it?",
            ),
            Mistake(
                "half-written",
                _only_lower,
                "entries with k > j were never written: (j, k) and (k, j) are different pairs, since k1 and k2 are different tensors",
                "how many entries does the cube have, and how many did your loops visit?",
            ),
        ),
        hints=(
            "Three loops for i, j and k. Inside, multiply three vectors of D numbers channel by channel, and add up.",
            "for i, for j, for k:\n    out[i, j, k] = sum over d of q[i, d] * k1[j, d] * k2[k, d], times D ** -0.5",
            "`(q[i] * k1[j] * k2[k]).sum() * D ** -0.5`, assigned to `out[i, j, k]`. Nothing needs to be returned.",
        ),
    ),
    Exercise(
        id="03.2",
        entry="joint_softmax",
        title="one softmax over the pair",
        objective="Turn `logits[i, j, k]` into weights that sum to 1 over all pairs (j, k) of one query i. Hidden pairs come in as -inf.",
        difficulty=2,
        minutes=10,
        arguments=(Argument("logits", "S, S, S", "float", "index order i, j, k; -inf where hidden, never for a whole query"),),
        returns=Argument("weights", "S, S, S", "that of logits", "for each i, sum over j and k is 1"),
        hand=Case("S=2", {"logits": torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [2.0, 0.0]]])}),
        cases=lambda gen: [_hidden_logits(gen, S) for S in (1, 15, 16, 17, 33)],
        answer=lambda logits: _joint(logits),
        axes="i j k",
        properties=(sums_to_one((-2, -1), "all pairs (j, k)"), large_logits("logits", 1000.0)),
        question="what does weights[0].sum() give, and what weights[0].sum(-1)?",
        mistakes=(
            Mistake(
                "tuple-of-axes",
                lambda logits: logits.softmax((1, 2)),
                "torch's softmax runs over one axis, and the pair (j, k) is two: make it one axis first",
                "which shape has one axis for all pairs of a query, and how do you come back from it?",
                raises=r"TypeError: softmax\(\).*must be int",
            ),
            Mistake(
                "max-of-two-axes",
                lambda logits: logits.max((1, 2)),
                "torch's `max` takes one axis; `amax` takes several",
                "with `amax` over (1, 2), what must its shape be so that it lines up with the query?",
                raises=r"TypeError: max\(\).*(must be int|invalid combination)",
            ),
            Mistake(
                "softmax-over-k",
                lambda logits: logits.softmax(-1),
                "you normalised over k for each j; the softmax is joint over (j, k)",
                "each j now has a full unit of weight: how can the layer say `this pair, not that one`?",
            ),
            Mistake(
                "softmax-over-j",
                lambda logits: logits.softmax(-2),
                "you normalised over j for each k; the softmax is joint over (j, k)",
                "what do all weights of one query sum to?",
            ),
            Mistake(
                "two-softmaxes",
                lambda logits: logits.softmax(-1) * logits.softmax(-2),
                "you multiplied a softmax over j by one over k: that is not the joint softmax, and it does not sum to 1",
                "when is a joint distribution the product of two others?",
            ),
            Mistake(
                "one-after-the-other",
                lambda logits: logits.softmax(-1).softmax(-2),
                "you took a softmax over k and then one over j of its result: the second takes weights for logits, and the joint softmax is one softmax",
                "what do the weights of one query sum to after the second?",
            ),
            Mistake(
                "j-then-k",
                lambda logits: logits.softmax(-2).softmax(-1),
                "you took a softmax over j and then one over k of its result: the second takes weights for logits, and the joint softmax is one softmax",
                "what do the weights of one query sum to after the second?",
            ),
            Mistake(
                "equal-shares",
                lambda logits: (P := logits.softmax(-1)) / P.sum((1, 2), keepdim=True),
                "you normalised over k for each j and divided by the sum afterwards: each j keeps an equal share, whatever its logits",
                "raise all logits of one j by 5: do its weights grow?",
            ),
            Mistake(
                "one-for-all-queries",
                lambda logits: logits.flatten().softmax(0).view_as(logits),
                "all queries share one softmax: each query i needs weights of its own, over its pairs (j, k)",
                "what do the weights of query 0 sum to, and what should they?",
            ),
            Mistake(
                "softmax-over-queries",
                lambda logits: logits.softmax(0),
                "the softmax runs over the queries i: each query needs its own weights",
                "in logits[i, j, k], which index is the query?",
            ),
            Mistake(
                "maximum-over-k",
                lambda logits: (e := (logits - logits.amax(-1, keepdim=True)).exp()) / e.sum((1, 2), keepdim=True),
                "you subtracted the maximum of each row j instead of one maximum for the whole plane: the rows no longer compare",
                "over which axes must the maximum run, so that one number is subtracted from all pairs of a query?",
            ),
            Mistake(
                "maximum-over-j",
                lambda logits: (e := (logits - logits.amax(-2, keepdim=True)).exp()) / e.sum((1, 2), keepdim=True),
                "you subtracted the maximum of each column k instead of one maximum for the whole plane: the columns no longer compare",
                "over which axes must the maximum run, so that one number is subtracted from all pairs of a query?",
            ),
            Mistake(
                "one-maximum-for-all",
                lambda logits: (e := (logits - logits.max()).exp()) / e.sum((1, 2), keepdim=True),
                "you subtracted one maximum for all queries: where a query's own logits lie far below it, all exponentials are 0, and 0 / 0 is nan",
                "which logits share a denominator, and so a maximum?",
            ),
            Mistake(
                "sum-without-keepdim",
                lambda logits: (e := logits.exp()) / e.sum((1, 2)),
                "the sums have the shape [S] and line up with the last axis, k: weight (i, j, k) is divided by the sum of query k",
                "which shape must the sums have, so that they line up with i?",
            ),
            Mistake(
                "nothing-kept",
                lambda logits: (e := (logits - logits.amax((1, 2))).exp()) / e.sum((1, 2)),
                "maximum and sum have the shape [S] and line up with the last axis, k: weight (i, j, k) uses those of query k",
                "which shape must they have, so that they line up with i?",
            ),
            Mistake(
                "overflow",
                lambda logits: (e := logits.exp()) / e.sum((1, 2), keepdim=True),
                "large logits overflow: subtract the maximum over (j, k) of each query before the exponential",
                "over which axes must that maximum run?",
            ),
        ),
        hints=(
            "A softmax does not care how its numbers are laid out. What if the pair (j, k) were a single index?",
            "view logits as [S, S * S]\nsoftmax over the last axis\nview the result as [S, S, S] again",
            "`logits.flatten(1)` gives [S, S*S]; `.view_as(logits)` brings the shape back.",
        ),
    ),
    Exercise(
        id="03.3",
        entry="combine",
        title="values of a pair",
        objective="Each pair (j, k) brings the elementwise product `v1_j * v2_k`. Sum them with the weights: `o_i = sum_jk P_ijk (v1_j * v2_k)`.",
        difficulty=2,
        minutes=10,
        arguments=(Argument("weights", "S, S, S", "float", "index order i, j, k; sums to 1 over (j, k)"), V1, V2),
        returns=Argument("o", "S, D", "that of weights", "one output a token"),
        hand=Case("S=2, D=2", {"weights": torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.5], [0.0, 0.5]]]), **HAND_VALUES}),
        cases=lambda gen: [
            Case(f"S={S}, D={D}", {"weights": _weights(gen, S), "v1": sharp(gen, S, D), "v2": sharp(gen, S, D)})
            for S, D in ((1, 3), (15, 8), (16, 4), (17, 16), (33, 8))
        ],
        answer=lambda weights, v1, v2: torch.einsum("ijk,jd,kd->id", weights, v1, v2),
        axes="i d",
        question="for query 0 of the card only the pair (0, 0) has weight: what is its value?",
        mistakes=(
            Mistake(
                "sum-of-values",
                lambda weights, v1, v2: torch.einsum("ijk,jd->id", weights, v1) + torch.einsum("ijk,kd->id", weights, v2),
                "you added v1_j and v2_k; the value of a pair is their product, channel by channel",
                "what would v2_k = 0 have to do to the pair?",
            ),
            Mistake(
                "swapped-values",
                lambda weights, v1, v2: torch.einsum("ijk,kd,jd->id", weights, v1, v2),
                "v1 goes with j and v2 with k; you have them the other way round",
                "which tensor does index j pick a row from?",
            ),
            Mistake(
                "product-of-sums",
                lambda weights, v1, v2: torch.einsum("ijk,jd->id", weights, v1) * torch.einsum("ijk,kd->id", weights, v2),
                "you averaged v1 and v2, each alone, and multiplied the averages: that forgets which j went with which k. Multiply first, average then",
                "is the mean of a product the product of the means?",
            ),
            Mistake(
                "product-of-matmuls",
                lambda weights, v1, v2: (weights @ v1) * (weights @ v2),
                "`weights @ v` averages over k and leaves j, for v1 as for v2: you multiplied two averages. Wanted is the average of products v1_j * v2_k",
                "`weights @ v2` has the axes i, j, d: what has v1 to do on its axis j?",
            ),
            Mistake(
                "product-of-matmuls-summed",
                lambda weights, v1, v2: ((weights @ v1) * (weights @ v2)).sum(1),
                "`weights @ v` averages over k, for v1 as for v2: you multiplied two averages, so that each weight comes in twice, and v1 never meets j",
                "`weights @ v2` has the axes i, j, d: what has v1 to do on its axis j?",
            ),
            Mistake(
                "same-token",
                lambda weights, v1, v2: weights @ (v1 * v2),
                "`v1 * v2` multiplies the two values of one token; a pair takes v1 from token j and v2 from token k",
                "how many pairs are there, and how many rows has `v1 * v2`?",
            ),
            Mistake(
                "same-token-summed",
                lambda weights, v1, v2: weights.sum(2) @ (v1 * v2),
                "`v1 * v2` multiplies the two values of one token, j; a pair takes v1 from token j and v2 from token k",
                "how many pairs are there, and how many rows has `v1 * v2`?",
            ),
            Mistake(
                "one-value-only",
                lambda weights, v1, v2: torch.einsum("ijk,jd->id", weights, v1),
                "v2 is not used at all",
                "which letter of the einsum would bring v2 in?",
            ),
        ),
        hints=(
            "Write the formula as one einsum: name the axes of the three inputs, then those of the output.",
            "weights has i j k, v1 has j d, v2 has k d; the output keeps i and d. What is left out is summed.",
            '`torch.einsum("ijk,jd,kd->id", ...)`',
        ),
    ),
    Exercise(
        id="03.4",
        entry="two_simplicial_attention",
        title="the whole layer, with windows",
        objective="Logits, windows, one softmax, values: causal 2-simplicial attention for one head.",
        difficulty=3,
        minutes=20,
        arguments=(Q, K1, K2, V1, V2, W1, W2),
        returns=Argument("o", "S, D", "that of q", "one output a token"),
        hand=Case("S=3, D=2, w1=2, w2=1", HAND_LAYER | {"w1": 2, "w2": 1}),
        cases=lambda gen: [_tokens(gen, S, 8, w1, w2) for S, w1, w2 in WINDOWS],
        answer=_attend,
        axes="i d",
        properties=(causal(("k1", "k2", "v1", "v2"), axis=0), large_logits("q", 200.0)),
        question="take the first wrong row: which pairs (j, k) may it see, what are their logits, and what do its weights sum to?",
        mistakes=(
            Mistake(
                "swapped-windows",
                lambda q, k1, k2, v1, v2, w1, w2: _attend(q, k1, k2, v1, v2, w2, w1),
                "w1 bounds j and w2 bounds k; you have them the other way round",
                "which of the two axes of the mask is j?",
            ),
            Mistake(
                "window-off-by-one",
                _with_mask(lambda S, w1, w2: visible_pairs(S, w1 + 1, w2 + 1)),
                "both windows are one too wide: i - w1 < j, the query's own position counts",
                "how many j does a query see when w1 = 1?",
            ),
            Mistake(
                "no-window",
                _with_mask(lambda S, w1, w2: visible_pairs(S)),
                "the mask is causal and the windows are missing",
                "which j does the last query see when w1 = 2?",
            ),
            Mistake(
                "k-sees-the-future",
                _with_mask(lambda S, w1, w2: visible(S, w1)[:, :, None] & torch.ones(S, S, dtype=torch.bool)[:, None, :]),
                "only j is masked: k must obey its own window",
                "where does w2 enter your mask?",
            ),
            Mistake(
                "softmax-over-k",
                _with_mask(visible_pairs, softmax=lambda A: A.softmax(-1)),
                "you normalised over k for each j; the softmax is joint over (j, k)",
                "what do all weights of one query sum to?",
            ),
            Mistake(
                "softmax-over-k-nan",
                _with_mask(visible_pairs, softmax=lambda A: A.softmax(-1), keep_nan=True),
                "you normalised over k for each j; a hidden j is -inf everywhere, and its softmax is nan. The softmax is joint over (j, k)",
                "what is left of the row of a hidden j when you flatten (j, k) first?",
            ),
            Mistake(
                "masked-after-softmax",
                _mask_afterwards,
                "the mask comes after the softmax: hidden pairs have already taken their share",
                "what do the weights of query 0 sum to?",
            ),
            Mistake(
                "no-scale",
                lambda q, k1, k2, v1, v2, w1, w2: _attend(q, k1, k2, v1, v2, w1, w2, scale=1.0),
                "the scale 1/sqrt(D) is missing from the logits",
                "where was it in 03.1?",
            ),
        ),
        hints=(
            "You have all parts: 03.1 as an einsum, a mask made of two windows, 03.2 and 03.3.",
            "A = einsum of q, k1, k2, times D ** -0.5\nsee = window(w1)[:, :, None] & window(w2)[:, None, :]\nA where not see = -inf\no = combine(joint_softmax(A), v1, v2)",
            "`windows.visible_pairs(S, w1, w2)` gives the mask [S, S, S] if you would rather not build it; "
            "then `A.masked_fill(~see, -torch.inf)`.",
        ),
    ),
    Exercise(
        id="03.5",
        entry="two_simplicial_heads",
        title="many heads, shared keys",
        objective="The layer for H query heads over Hkv key/value heads: query head `h` reads key/value head `h // (H // Hkv)`.",
        difficulty=3,
        minutes=20,
        arguments=(
            Argument("q", "S, H, D", "float", "queries"),
            *(
                Argument(n, "S, Hkv, D", "float", f"{what}; Hkv divides H")
                for n, what in zip(NAMES[1:], ("first keys", "second keys", "first values", "second values"), strict=True)
            ),
            W1,
            W2,
        ),
        returns=Argument("o", "S, H, D", "that of q", "one output a token and head"),
        hand=Case(
            "S=2, H=2, Hkv=1, D=1, w1=2, w2=2",
            {
                "q": torch.tensor([[[1.0], [2.0]], [[1.0], [0.0]]]),
                "k1": torch.tensor([[[1.0]], [[2.0]]]),
                "k2": torch.tensor([[[1.0]], [[0.0]]]),
                "v1": torch.tensor([[[1.0]], [[2.0]]]),
                "v2": torch.tensor([[[3.0]], [[1.0]]]),
                "w1": 2,
                "w2": 2,
            },
        ),
        cases=lambda gen: [
            _tokens(gen, S, 8, w1, w2, H=H, Hkv=Hkv)
            for S, w1, w2, H, Hkv in ((1, 1, 1, 4, 2), (15, 4, 7, 4, 2), (16, 16, 3, 3, 3), (17, 5, 9, 6, 2))
        ],
        answer=_attend,
        axes="i h d",
        properties=(causal(("k1", "k2", "v1", "v2"), axis=0), large_logits("q", 200.0)),
        question="which heads are wrong? Which key heads and value heads should the first of them read, and which does it read?",
        mistakes=(
            Mistake(
                "heads-tiled",
                lambda q, k1, k2, v1, v2, w1, w2: _attend(q, *_heads(q, k1, k2, v1, v2, tile=True), w1, w2),
                "query head h reads key head h % Hkv; neighbours share, so it is h // (H // Hkv): repeat_interleave, not repeat",
                "with H=4 and Hkv=2, which key head do query heads 0 and 1 read?",
            ),
            Mistake(
                "scale-by-width",
                lambda q, k1, k2, v1, v2, w1, w2: _attend(q, k1, k2, v1, v2, w1, w2, scale=(q.shape[1] * q.shape[2]) ** -0.5),
                "the scale uses H*D, the width of the whole layer; each head has only D channels",
                "over how many numbers does one logit sum?",
            ),
            Mistake(
                "softmax-over-heads",
                _softmax_with_heads,
                "the softmax runs over heads and pairs together: each head needs weights of its own",
                "what do the weights of one head of one query sum to?",
            ),
            Mistake(
                "swapped-windows",
                lambda q, k1, k2, v1, v2, w1, w2: _attend(q, k1, k2, v1, v2, w2, w1),
                "w1 bounds j and w2 bounds k; you have them the other way round",
                "which of the two axes of the mask is j?",
            ),
        ),
        hints=(
            "Give every query head its own copy of its four key and value heads; then add a letter h to the einsums.",
            'k1, k2, v1, v2 = each head repeated H // Hkv times, neighbours together\nA[h, i, j, k] by einsum "ihd,jhd,khd->hijk"\nmask, softmax over the last two axes together, einsum back',
            '`A.flatten(2).softmax(-1).view_as(A)`, then `torch.einsum("hijk,jhd,khd->ihd", P, v1, v2)`.',
        ),
    ),
)
