"""Exercises of chapter 07: a vector, a row's log-sum-exp, a softmax in blocks, a product in tiles, a race to mend."""

from __future__ import annotations

import math

import torch

from simplex_lab.checks.properties import large_logits, loads_at_most, no_atomics, sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake

BLOCK = 16
NAN = float("nan")


def _rows(gen, R, C, gain=3.0):
    return Case(f"R={R}, C={C}", {"x": sharp(gen, R, C, gain=gain)})


def _far_below(gen, R, C):
    return Case(f"R={R}, C={C}, all scores near -1000", {"x": sharp(gen, R, C) - 1000})


def _two_matrices(gen, M, N, K):
    return Case(f"M={M}, N={N}, K={K}", {"a": sharp(gen, M, K), "b": sharp(gen, N, K)})


def _kept(x, last):
    """``x`` whose columns from ``last`` on were never written."""
    return torch.where(torch.arange(x.shape[-1], device=x.device) < last, x, NAN)


# --- 07.1 ----------------------------------------------------------------------------------------------------------------


def _axpy(a, x, y):
    return a * x + y


# --- 07.2 ----------------------------------------------------------------------------------------------------------------


def _lse2(x):
    return torch.logsumexp(x * math.log(2), 1) / math.log(2)


def _lse2_of_zeros(x):
    """Masked lanes hold 0 and count."""
    empty = 2 ** math.ceil(math.log2(x.shape[1])) - x.shape[1]
    return _lse2(torch.cat([x, x.new_zeros(x.shape[0], empty)], 1))


# --- 07.3 ----------------------------------------------------------------------------------------------------------------


def _blocks(x):
    return [x[:, c : c + BLOCK] for c in range(0, x.shape[1], BLOCK)]


def _softmax(x, base2=False):
    return (x * math.log(2) if base2 else x).softmax(1)


def _whole_blocks_only(x):
    end = x.shape[1] // BLOCK * BLOCK
    return torch.cat([_softmax(x[:, :end]), torch.full_like(x[:, end:], NAN)], 1)


def _masked_count(x):
    """Lanes beyond C have a score of 0."""
    empty = -x.shape[1] % BLOCK
    return _softmax(torch.cat([x, x.new_zeros(x.shape[0], empty)], 1))[:, : x.shape[1]]


def _running(x, rescale=True, first=False):
    """Softmax by a running maximum and sum, with a mistake in it."""
    m, l = x.new_full((len(x),), -1e30), x.new_zeros(len(x))
    for part in _blocks(x):
        m_new = torch.maximum(m, part.amax(1))
        l = (l * torch.exp(m - m_new) if rescale else l) + torch.exp(part - m_new[:, None]).sum(1)
        m = m_new
        if first:
            break
    return torch.exp(x - m[:, None]) / l[:, None]


# --- 07.4 ----------------------------------------------------------------------------------------------------------------


def _product(a, b):
    return a @ b.T


def _as_k_by_n(a, b):
    return a @ b.reshape(b.shape[1], b.shape[0])


def _last_block(a, b):
    start = (a.shape[1] - 1) // BLOCK * BLOCK
    return a[:, start:] @ b[:, start:].T


def _whole_blocks(a, b):
    end = a.shape[1] // BLOCK * BLOCK
    return a[:, :end] @ b[:, :end].T


# --- 07.5 ----------------------------------------------------------------------------------------------------------------


def _row_sums(x):
    out = x.new_full(x.shape[1:], NAN)
    n = min(x.shape)
    out[:n] = x.sum(1)[:n]
    return out


X = Argument("x", "R, C", "float", "rows may lie further apart than C: use the stride")

EXERCISES = (
    Exercise(
        id="07.1",
        entry="axpy",
        title="scale and add",
        objective="Write the kernel: `out = a x + y` for vectors of any length. Each program handles BLOCK numbers.",
        difficulty=1,
        minutes=10,
        arguments=(
            Argument("a", "", "float", "a number"),
            Argument("x", "n", "float", "contiguous"),
            Argument("y", "n", "float", "contiguous"),
            Argument("out", "n", "float", "holds NaN at first"),
        ),
        returns=Argument("out", "n", "float", "`a x + y`"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case("n=5", {"a": 2.0, "x": torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), "y": torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])}),
        cases=lambda gen: [Case(f"n={n}", {"a": 1.5, "x": sharp(gen, n), "y": sharp(gen, n)}) for n in (1, 16, 33, 17, 64)],
        large=lambda gen: Case("n=2^20", {"a": 1.5, "x": sharp(gen, 2**20), "y": sharp(gen, 2**20)}),
        answer=_axpy,
        axes="i",
        verified="CPU, GPU",
        question="n = 5: which of the 16 lanes have work to do, and what do they load, compute and store?",
        mistakes=(
            Mistake(
                "first-block-only",
                lambda a, x, y: _kept(a * x + y, BLOCK),
                "every program handles the first block: the program's number is not in the offsets",
                "what is `tl.program_id(0)` for the second block, and where should that block begin?",
            ),
            Mistake(
                "last-block-missing",
                lambda a, x, y: _kept(a * x + y, len(x) // BLOCK * BLOCK),
                "the numbers behind the last whole block were never written",
                "how many programs does a vector of 17 need, and which of its lanes does the mask leave on?",
            ),
            Mistake(
                "swapped",
                lambda a, x, y: a * y + x,
                "that is a y + x: the factor belongs to x",
                "which pointer does each load use?",
            ),
            Mistake(
                "x-twice",
                lambda a, x, y: a * x + x,
                "x stands in for y: one of the two loads uses the wrong pointer",
                "which pointer does each load use?",
            ),
        ),
        hints=(
            "A program knows only its number. From it, it computes which BLOCK offsets are its own; the mask turns off those that are not below n.",
            "at = number of the program * BLOCK + 0 ... BLOCK - 1\nload x and y at those offsets, where at < n\nstore a * x + y there, under the same mask",
            "`at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)` and `tl.load(x_ptr + at, mask=at < n, other=0.0)`; `tl.store` takes the pointer, the value and the mask.",
        ),
    ),
    Exercise(
        id="07.2",
        entry="row_lse2",
        title="one number a row",
        objective="Write the kernel: the log-sum-exp of each row in base 2. One program a row; BLOCK is a power of 2, C or the next one above it.",
        difficulty=2,
        minutes=15,
        arguments=(X, Argument("out", "R", "float", "holds NaN at first")),
        returns=Argument("out", "R", "float", "`log2 sum_c 2^x_rc`, in any range of x"),
        writes="out",
        kernel=True,
        layout="rows",
        hand=Case("R=2, C=3", {"x": torch.tensor([[0.0, 0.0, 1.0], [-4.0, -5.0, -5.0]])}),
        cases=lambda gen: [_far_below(gen, 2, 3), *(_rows(gen, R, C) for R, C in ((1, 1), (3, 15), (2, 16), (4, 17), (5, 33)))],
        large=lambda gen: _rows(gen, 4096, 1000),
        answer=_lse2,
        axes="r",
        properties=(large_logits("x", 100.0),),
        verified="CPU, GPU",
        question="what do the masked lanes of the card's first row hold, and what do they add to the sum?",
        mistakes=(
            Mistake(
                "other-zero",
                _lse2_of_zeros,
                "masked lanes hold 0 and count as 2^0 = 1 each: they need a value whose power is 0",
                "which score has a weight of exactly 0?",
            ),
            Mistake(
                "base-e",
                lambda x: torch.logsumexp(x, 1),
                "that is base e; here the powers are of 2, and so is the logarithm",
                "what are `tl.exp2` and `tl.log2`?",
            ),
            Mistake(
                "overflow",
                lambda x: torch.log2(torch.exp2(x).sum(1)),
                "powers of scores far from 0 overflow or vanish: take the maximum out before and add it at the end",
                "what is 2^300 in fp32?",
            ),
            Mistake(
                "maximum-not-added",
                lambda x: _lse2(x) - x.amax(1),
                "the maximum was taken out of the powers and not added again",
                "log2(2^m l) is log2(l) plus what?",
            ),
            Mistake(
                "sum-only",
                lambda x: torch.exp2(x - x.amax(1, keepdim=True)).sum(1),
                "that is the sum l, not its logarithm",
                "what is left to do once you have m and l?",
            ),
            Mistake(
                "first-row-only",
                lambda x: _lse2(x[:1]).expand(len(x)),
                "every row gets the first row's number: the row's start does not depend on the program",
                "how far apart are two rows in memory?",
            ),
        ),
        hints=(
            "One program, one row: m, then l, as in chapter 06. Only the lanes beyond C need care: they must not change m and must add nothing to l.",
            "r = number of the program, c = 0 ... BLOCK - 1\nload row r at c < C, minus infinity elsewhere\nm = max, l = sum of 2^(x - m)\nstore m + log2(l)",
            '`x = tl.load(x_ptr + r * stride + c, mask=c < C, other=-float("inf"))`, then `tl.max(x, 0)`, `tl.sum(..., 0)`, `tl.exp2`, `tl.log2`. `.to(tl.float32)` behind the load: powers and sums belong in fp32 also when x is bf16.',
        ),
    ),
    Exercise(
        id="07.3",
        entry="softmax_rows",
        title="a softmax in blocks",
        objective="Write the kernel: the softmax of each row, BLOCK = 16 columns at a time. One program a row, two loops: the first finds the maximum and the sum in one pass, the second writes.",
        difficulty=2,
        minutes=20,
        arguments=(X, Argument("out", "R, C", "float", "contiguous; holds NaN at first")),
        returns=Argument("out", "R, C", "float", "`exp(x_rc) / sum_c exp(x_rc)`"),
        writes="out",
        kernel=True,
        layout="rows",
        hand=Case("R=1, C=3", {"x": torch.tensor([[0.0, math.log(2), math.log(5)]])}),
        cases=lambda gen: [_far_below(gen, 2, 19), *(_rows(gen, R, C) for R, C in ((1, 1), (3, 15), (2, 16), (3, 17), (2, 40)))],
        large=lambda gen: _rows(gen, 4096, 1000),
        answer=_softmax,
        axes="r c",
        properties=(
            large_logits("x", 100.0),
            loads_at_most("the first loop finds the maximum and the sum in one pass", x_ptr=lambda a: 2 * a["x"].numel()),
        ),
        verified="CPU, GPU",
        question="the card's row has the weights 1/8, 2/8 and 5/8: what are m and l for it, and what do its 13 masked lanes add to l?",
        mistakes=(
            Mistake(
                "softmax-per-block",
                lambda x: torch.cat([part.softmax(1) for part in _blocks(x)], 1),
                "each block is normalised by itself: m and l must run through all blocks before anything is written",
                "to what does a row of 17 sum in your output?",
            ),
            Mistake(
                "l-not-rescaled",
                lambda x: _running(x, rescale=False),
                "l still holds what was summed against the old maximum: multiply it by exp(m - m_new)",
                "by which factor is the old part of l too large when m grows by 1?",
            ),
            Mistake(
                "first-block-only",
                lambda x: _running(x, first=True),
                "m and l come from the first block only",
                "where does your first loop end?",
            ),
            Mistake(
                "last-block-missing",
                _whole_blocks_only,
                "what is behind the last whole block is never visited",
                "where do your loops end when BLOCK does not divide C?",
            ),
            Mistake(
                "masked-lanes-count",
                _masked_count,
                "masked lanes hold 0 and count: they need a value whose power is 0",
                "which score has a weight of exactly 0?",
            ),
            Mistake(
                "base-2",
                lambda x: _softmax(x, base2=True),
                "these are powers of 2; the softmax of this exercise is in base e",
                "exp or exp2?",
            ),
            Mistake(
                "not-normalised",
                lambda x: torch.exp(x - x.amax(1, keepdim=True)),
                "the weights are not divided by l",
                "to what does a row of your output sum?",
            ),
            Mistake(
                "overflow",
                lambda x: torch.exp(x) / torch.exp(x).sum(1, keepdim=True),
                "powers of scores far from 0 overflow or vanish: what is subtracted from them is not their maximum",
                "what is subtracted from a row of scores near 1000, and from one near -1000?",
            ),
        ),
        hints=(
            "It is 06.1 with a block of scores in place of one, then a second walk that writes exp(x - m) / l.",
            "m = -1e30, l = 0\nfor each block: m_new, l = l * exp(m - m_new) + sum of exp(x - m_new)\nfor each block again: load, store exp(x - m) / l under the mask",
            "`for c0 in range(0, C, BLOCK):` works in a kernel. `tl.maximum(m, tl.max(x, 0))` is the larger of two. Masked lanes: minus infinity, whose exp is 0. The output's rows are C apart, the input's `stride`.",
        ),
    ),
    Exercise(
        id="07.4",
        entry="product",
        title="a product in tiles",
        objective="Write the kernel: `out = a b^T`. A program owns a tile of 16 x 16 of the output and walks over K in steps of 16, with `tl.dot`.",
        difficulty=3,
        minutes=25,
        arguments=(
            Argument("a", "M, K", "float", "contiguous"),
            Argument("b", "N, K", "float", "contiguous"),
            Argument("out", "M, N", "float", "contiguous; holds NaN at first"),
        ),
        returns=Argument("out", "M, N", "float", "`sum_k a_mk b_nk`"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case("M=1, N=2, K=3", {"a": torch.tensor([[1.0, 2.0, 3.0]]), "b": torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])}),
        cases=lambda gen: [_two_matrices(gen, *s) for s in ((1, 1, 1), (16, 16, 16), (17, 15, 16), (16, 16, 40), (20, 35, 33))],
        large=lambda gen: _two_matrices(gen, 1024, 1000, 520),
        answer=_product,
        axes="m n",
        verified="CPU, GPU",
        question="the card has M = 1, N = 2, K = 3: which lanes of the tiles of a and b are numbers, and how far apart are the rows of b?",
        mistakes=(
            Mistake(
                "not-transposed",
                _as_k_by_n,
                "that is a b, with b read as [K, N]: row n of b lies at n * K, and its channels beside each other",
                "b is [N, K]. What is the offset of b[n, k]?",
            ),
            Mistake(
                "first-block-only",
                lambda a, b: a[:, :BLOCK] @ b[:, :BLOCK].T,
                "the sum stops after the first 16 channels: there is no walk over K, or it ends too early",
                "how many steps does K = 40 need?",
            ),
            Mistake(
                "last-block-only",
                _last_block,
                "only the last step over K is left: acc is set to zero, or overwritten, inside the loop",
                "where is acc born, and how long must it live?",
            ),
            Mistake(
                "last-block-missing",
                _whole_blocks,
                "channels behind the last whole step are left out",
                "where does the loop end when 16 does not divide K?",
            ),
        ),
        hints=(
            "Two program numbers, one for the tile's rows and one for its columns. In each step load [16, 16] of a and of b and add their product to acc.",
            "m = 16 rows, n = 16 columns, k = 0 ... 15\nacc = zeros [16, 16]\nfor k0 in steps of 16: a tile [m, k0 + k], b tile [n, k0 + k], acc += a tile @ b tile^T\nstore acc where m < M and n < N",
            '`tl.load(a_ptr + m[:, None] * K + (k0 + k)[None, :], mask=(m < M)[:, None] & (k0 + k < K)[None, :], other=0.0)` and `acc += tl.dot(a, tl.trans(b), input_precision="ieee")`. Masks are joined by `&`, not `and`.',
        ),
    ),
    Exercise(
        id="07.5",
        entry="column_sums",
        title="a race (debug)",
        objective="The kernel above gives right sums here and would give wrong ones on a GPU. Write it anew so that every element of the output has one owner. No atomics.",
        difficulty=2,
        minutes=15,
        arguments=(Argument("x", "R, C", "float", "contiguous"), Argument("out", "C", "float", "holds NaN at first")),
        returns=Argument("out", "C", "float", "`sum_r x_rc`"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case("R=3, C=2", {"x": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])}),
        cases=lambda gen: [_rows(gen, R, C) for R, C in ((1, 1), (17, 3), (16, 16), (33, 17), (7, 40))],
        large=lambda gen: _rows(gen, 2048, 4096),
        answer=lambda x: x.sum(0),
        axes="c",
        properties=(no_atomics,),
        verified="CPU, GPU",
        question="the card has 3 rows and 2 columns: which numbers of x belong to out[0], and which program adds them up?",
        mistakes=(
            Mistake(
                "first-row-only",
                lambda x: x[0],
                "only the first row arrives: there is no walk over rows",
                "which rows does one program see?",
            ),
            Mistake(
                "last-row-only",
                lambda x: x[-1],
                "only the last row is left: the sum is overwritten in every step",
                "where is the running sum set to zero?",
            ),
            Mistake(
                "first-columns-only",
                lambda x: _kept(x.sum(0), BLOCK),
                "only the first 16 columns have an owner",
                "how many programs do 17 columns need?",
            ),
            Mistake(
                "row-sums",
                _row_sums,
                "those are sums over columns, one for each row",
                "which index is left in the output?",
            ),
        ),
        hints=(
            "Turn the grid round: let a program own columns instead of rows. Then nobody else writes them, and it needs no number from anybody.",
            "a program for every BLOCK columns\nacc = zeros\nfor each row: load its BLOCK columns, add\nstore acc",
            "`for r in range(0, R): acc += tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)` with `c` from the program's number, `acc = tl.zeros([BLOCK], tl.float32)`, and a grid of `triton.cdiv(C, BLOCK)` programs.",
        ),
    ),
)
