"""Exercises of chapter 01: a stable softmax, attention, the causal mask, heads, a window."""

from __future__ import annotations

import torch

from simplex_lab import reference
from simplex_lab.checks.properties import causal, large_logits, sharp, sums_to_one
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.windows import visible

SIZES = (1, 15, 16, 17, 33)


def _qkv(gen, S, D=8, H=None, Hkv=None):
    heads = () if H is None else (H,)
    shared = () if Hkv is None else (Hkv,)
    args = {
        "q": sharp(gen, S, *heads, D, gain=2.0),
        "k": sharp(gen, S, *shared, D),
        "v": sharp(gen, S, *shared, D),
    }
    sizes = f"S={S}, D={D}" + (f", H={H}, Hkv={Hkv}" if H else "")
    return Case(sizes, args)


HAND = Case(
    "S=3, D=2",
    {
        "q": torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        "k": torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]),
        "v": torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]]),
    },
)
HAND_HEADS = Case(
    "S=2, H=4, Hkv=2, D=1",
    {
        "q": torch.tensor([[[1.0], [2.0], [1.0], [2.0]], [[1.0], [2.0], [3.0], [0.0]]]),
        "k": torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]]),
        "v": torch.tensor([[[1.0], [10.0]], [[3.0], [30.0]]]),
    },
)
TOKENS = {
    "q": Argument("q", "S, D", "float", "one query a token"),
    "k": Argument("k", "S, D", "float", "one key a token"),
    "v": Argument("v", "S, D", "float", "one value a token"),
}
OUTPUT = Argument("o", "S, D", "that of q", "one output a token")


def _attend(q, k, v, *, causal=False, w=None, scale=None):
    """The reference on tensors without batch and, where they have none, without heads."""
    flat = q.dim() == 2
    q, k, v = (x[None, :, None] if flat else x[None] for x in (q, k, v))
    o = reference.dot_product(q, k, v, causal=causal or w is not None, w=w, scale=scale).o[0]
    return o[:, 0] if flat else o


def _logits(q, k):
    return q @ k.T * q.shape[-1] ** -0.5


def _mask(S):
    return torch.ones(S, S).tril().bool()


def _naive_softmax(x):
    e = x.exp()
    return e / e.sum(-1, keepdim=True)


def _shared(q, k, v, tile):
    group = q.shape[1] // k.shape[1]
    return (x.repeat(1, group, 1) if tile else x.repeat_interleave(group, 1) for x in (k, v))


def _over_heads(q, k, v):
    k, v = _shared(q, k, v, tile=False)
    A = torch.einsum("ihd,jhd->hij", q, k) * q.shape[-1] ** -0.5
    P = A.masked_fill(~_mask(len(q)), -torch.inf).softmax(0).nan_to_num(0)
    return torch.einsum("hij,jhd->ihd", P, v)


EXERCISES = (
    Exercise(
        id="01.1",
        entry="softmax",
        title="a softmax that does not overflow",
        objective="Turn each row of logits into weights that are positive and sum to 1, also when a logit is 1000.",
        difficulty=1,
        minutes=10,
        arguments=(Argument("x", "S, N", "float", "logits; any size of number"),),
        returns=Argument("weights", "S, N", "that of x", "rows sum to 1"),
        hand=Case("S=2, N=2", {"x": torch.tensor([[0.0, 0.0], [0.0, 1.0]])}),
        cases=lambda gen: [Case(f"S={S}, N=9", {"x": sharp(gen, S, 9, gain=2.0)}) for S in SIZES],
        answer=lambda x: x.softmax(-1),
        axes="i j",
        properties=(sums_to_one((-1,), "the last axis"), large_logits("x", 1000.0)),
        question="which two steps does a softmax have, and along which axis does each run?",
        mistakes=(
            Mistake(
                "softmax-over-queries",
                lambda x: x.softmax(0),
                "you normalised down the columns: the weights of one query lie along the last axis",
                "which axis has sums of 1 in your output?",
            ),
            Mistake(
                "no-exponential",
                lambda x: x / x.sum(-1, keepdim=True),
                "you divided the logits by their sum without taking exponentials: weights can come out negative",
                "what is the weight of a logit of -1?",
            ),
            Mistake(
                "one-sum-for-all",
                lambda x: (e := (x - x.amax(-1, keepdim=True)).exp()) / e.sum(),
                "you divided by the sum over the whole matrix: each row needs its own sum",
                "what does `keepdim=True` do in `sum(-1, keepdim=True)`?",
            ),
            Mistake(
                "overflow",
                _naive_softmax,
                "exp(1000) is inf in floating point, and inf / inf is nan: subtract the row's maximum before the exponential",
                "why does subtracting the same number from a whole row not change the weights?",
            ),
        ),
        hints=(
            "Adding a constant to a whole row does not change its softmax. Which constant makes every exponent at most 0?",
            "m = row maximum\ne = exp(x - m)\nweights = e / row sum of e",
            "`x.amax(-1, keepdim=True)` keeps the axis, so that subtraction and division broadcast row by row.",
        ),
    ),
    Exercise(
        id="01.2",
        entry="attention",
        title="attention for one head",
        objective="Compute `o_i = sum_j softmax_j(<q_i, k_j> / sqrt(D)) v_j` for one head, every query seeing every key.",
        difficulty=1,
        minutes=10,
        arguments=tuple(TOKENS.values()),
        returns=OUTPUT,
        hand=HAND,
        cases=lambda gen: [_qkv(gen, S) for S in SIZES],
        answer=lambda q, k, v: _attend(q, k, v),
        axes="i d",
        properties=(large_logits("q", 200.0),),
        question="print the weights: do the rows sum to 1, and is the scale in?",
        mistakes=(
            Mistake(
                "no-scale",
                lambda q, k, v: _attend(q, k, v, scale=1.0),
                "the logits are not scaled: divide them by sqrt(D)",
                "how does the spread of a dot product of D random numbers grow with D?",
            ),
            Mistake(
                "scale-by-D",
                lambda q, k, v: _attend(q, k, v, scale=1 / q.shape[-1]),
                "you divided by D, the scale is 1/sqrt(D)",
                "what is the variance of a sum of D products, and so its standard deviation?",
            ),
            Mistake(
                "softmax-over-queries",
                lambda q, k, v: _logits(q, k).softmax(0) @ v,
                "the softmax runs over the queries: each query needs weights over its keys",
                "in `logits[i, j]`, which axis is the key?",
            ),
            Mistake(
                "values-transposed",
                lambda q, k, v: _logits(q, k).softmax(-1).T @ v,
                "the weights are transposed before they meet the values",
                "o[i] is a sum over j: which index must disappear in `weights @ v`?",
            ),
        ),
        hints=(
            "Three steps: a matrix of logits [S, S], a softmax along its keys, a matrix product with the values.",
            "logits = q @ k^T / sqrt(D)\nweights = softmax over the last axis\no = weights @ v",
            "`(q @ k.T * q.shape[-1] ** -0.5).softmax(-1) @ v`",
        ),
    ),
    Exercise(
        id="01.3",
        entry="causal_attention",
        title="no look into the future",
        objective="The same, but query i sees only keys `j <= i`: the others get weight exactly 0, and the rest still sums to 1.",
        difficulty=2,
        minutes=15,
        arguments=tuple(TOKENS.values()),
        returns=OUTPUT,
        hand=HAND,
        cases=lambda gen: [_qkv(gen, S) for S in SIZES],
        answer=lambda q, k, v: _attend(q, k, v, causal=True),
        axes="i d",
        properties=(causal(("k", "v"), axis=0), large_logits("q", 200.0)),
        question="print the weights of row 0: what must they be when it sees only itself?",
        mistakes=(
            Mistake(
                "masked-to-zero",
                lambda q, k, v: (_logits(q, k) * _mask(len(q))).softmax(-1) @ v,
                "hidden logits are set to 0, and exp(0) = 1: they still take part. Hide them with -inf",
                "which logit gives a weight of exactly 0?",
            ),
            Mistake(
                "masked-after-softmax",
                lambda q, k, v: (_logits(q, k).softmax(-1) * _mask(len(q))) @ v,
                "the mask comes after the softmax: the hidden keys have already taken their share, rows no longer sum to 1",
                "what do the rows of your weights sum to?",
            ),
            Mistake(
                "self-hidden",
                lambda q, k, v: _logits(q, k).masked_fill(~torch.ones(len(q), len(q)).tril(-1).bool(), -torch.inf).softmax(-1) @ v,
                "a query does not see itself (j < i): row 0 then sees nothing and its softmax is nan. It is j <= i",
                "how many keys does query 0 see?",
            ),
            Mistake(
                "sees-only-the-future",
                lambda q, k, v: _logits(q, k).masked_fill(~_mask(len(q)).T, -torch.inf).softmax(-1) @ v,
                "the mask is the wrong way round: query i sees j >= i",
                "which corner of the matrix is the future: above the diagonal or below it?",
            ),
            Mistake(
                "no-mask",
                lambda q, k, v: _attend(q, k, v),
                "every query still sees every key",
                "does your mask reach the softmax?",
            ),
        ),
        hints=(
            "A weight of exactly 0 comes out of the softmax when its logit is -inf.",
            "visible[i, j] = (j <= i)\nlogits where not visible = -inf\nthen softmax and values as before",
            "`torch.ones(S, S, dtype=torch.bool).tril()` is the mask; `masked_fill(~visible, -torch.inf)` uses it.",
        ),
    ),
    Exercise(
        id="01.4",
        entry="multi_head",
        title="heads that share keys",
        objective="Causal attention for H query heads over Hkv key/value heads: query head `h` reads key/value head `h // (H // Hkv)`.",
        difficulty=3,
        minutes=20,
        arguments=(
            Argument("q", "S, H, D", "float", "queries"),
            Argument("k", "S, Hkv, D", "float", "keys; Hkv divides H"),
            Argument("v", "S, Hkv, D", "float", "values"),
        ),
        returns=Argument("o", "S, H, D", "that of q", "one output a token and head"),
        hand=HAND_HEADS,
        cases=lambda gen: [_qkv(gen, S, H=4, Hkv=2) for S in SIZES] + [_qkv(gen, 9, H=3, Hkv=3), _qkv(gen, 9, H=6, Hkv=2)],
        answer=lambda q, k, v: _attend(q, k, v, causal=True),
        axes="i h d",
        properties=(causal(("k", "v"), axis=0), large_logits("q", 200.0)),
        question="which heads are wrong? Which key head and value head should the first of them read, and which does it read?",
        mistakes=(
            Mistake(
                "heads-tiled",
                lambda q, k, v: _attend(q, *_shared(q, k, v, tile=True), causal=True),
                "query head h reads key head h % Hkv; neighbours share, so it is h // (H // Hkv): repeat_interleave, not repeat",
                "with H=4 and Hkv=2, which key head do query heads 0 and 1 read?",
            ),
            Mistake(
                "scale-by-width",
                lambda q, k, v: _attend(q, k, v, causal=True, scale=(q.shape[1] * q.shape[2]) ** -0.5),
                "the scale uses H*D, the width of the whole layer; each head has only D channels",
                "over how many numbers does one dot product sum?",
            ),
            Mistake(
                "softmax-over-heads",
                _over_heads,
                "the softmax runs over the heads: each head needs its own weights over the keys",
                "which axis of your logits is the key?",
            ),
            Mistake(
                "not-causal",
                lambda q, k, v: _attend(q, k, v),
                "the causal mask of 01.3 is gone",
                "does the mask [S, S] broadcast over the head axis?",
            ),
        ),
        hints=(
            "Give every query head its own copy of its key and value head; then all heads do what one head did.",
            "k, v = repeat each head H // Hkv times, neighbours together\nlogits[h, i, j] = <q[i, h], k[j, h]> / sqrt(D)\nmask, softmax over j, sum over j",
            '`k.repeat_interleave(H // Hkv, dim=1)`, then `torch.einsum("ihd,jhd->hij", q, k)` and `torch.einsum("hij,jhd->ihd", P, v)`.',
        ),
    ),
    Exercise(
        id="01.5",
        entry="window_mask",
        title="a window",
        objective="Which keys does query i see through a causal window of w? Its own position counts: `i - w < j <= i`.",
        difficulty=1,
        minutes=5,
        arguments=(
            Argument("S", "", "int", "number of tokens, at least 1"),
            Argument("w", "", "int", "window, at least 1, may be larger than S"),
        ),
        returns=Argument("mask", "S, S", "bool", "True where query i (row) sees key j (column)"),
        hand=Case("S=4, w=2", {"S": 4, "w": 2}),
        cases=lambda gen: [Case(f"S={S}, w={w}", {"S": S, "w": w}) for S, w in ((1, 1), (5, 1), (16, 5), (17, 40), (33, 7))],
        answer=lambda S, w: visible(S, w),
        axes="i j",
        question="write down the keys that query 3 sees when w = 2",
        mistakes=(
            Mistake(
                "window-off-by-one",
                lambda S, w: visible(S, w + 1),
                "the window is one too wide: it holds w keys, the query's own among them",
                "how many True does a full row of your mask have?",
            ),
            Mistake(
                "self-not-counted",
                lambda S, w: visible(S, w) & ~torch.eye(S, dtype=torch.bool),
                "a query does not see itself: j = i belongs to the window",
                "what does query 0 see?",
            ),
            Mistake(
                "not-causal",
                lambda S, w: (torch.arange(S)[:, None] - torch.arange(S)[None]).abs() < w,
                "the window reaches into the future: it ends at the query's own position",
                "may query 3 see key 4?",
            ),
            Mistake(
                "no-window",
                lambda S, w: visible(S),
                "the mask is causal and has no window",
                "is key 0 still visible to the last query?",
            ),
        ),
        hints=(
            "Compare a column of query positions with a row of key positions.",
            "i = positions as a column, j = positions as a row\nmask = (j <= i) and (j > i - w)",
            "`i = torch.arange(S)[:, None]; j = torch.arange(S)[None, :]`, and `&` between the two comparisons.",
        ),
    ),
)
