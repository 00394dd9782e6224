"""Exercises of chapter 10: a roofline by hand, a softmax without a maximum, two positions that share what they load, reading SASS."""

from __future__ import annotations

import math

import torch

from simplex_lab.checks.chapter08 import (
    BASE_E,
    HAND_SEQUENCE,
    NO_SCALE,
    NOT_NORMALISED,
    OVER_K,
    S_KEYS,
    SWAPPED,
    W_NAMES,
    D,
    W,
    _hand_rows,
    _in,
    _loads_what_is_seen,
    _sequence,
    _window_mistakes,
    _windows,
    _with_windows,
)
from simplex_lab.checks.properties import causal, finite, large_logits, loads_at_most, sharp
from simplex_lab.checks.spec import Argument, Case, Exercise, Mistake
from simplex_lab.sass import loops, parse, spans
from simplex_lab.windows import visible_pairs

LOG2E = math.log2(math.e)


# --- 10.1 ----------------------------------------------------------------------------------------------------------------


def _roofline(gflop, mbyte, tflops, tbs):
    return torch.tensor(max(gflop / tflops, mbyte / tbs / 1000), dtype=torch.float64)


def _number(rule):
    return lambda gflop, mbyte, tflops, tbs: torch.tensor(float(rule(gflop, mbyte, tflops, tbs)), dtype=torch.float64)


# --- 10.2 ----------------------------------------------------------------------------------------------------------------


def _bounded(gen, S, w1, w2, gain=1.0):
    """A sequence, and for each query an upper bound of its logits in base 2 (Cauchy-Schwarz over all keys)."""
    x = [sharp(gen, S, D, gain=gain if n == 0 else 1.0) for n in range(5)]
    return Case(f"S={S}, D={D}, w1={w1}, w2={w2}", _with_bound(*x, w1, w2))


def _with_bound(q, k1, k2, v1, v2, w1, w2):
    bound = (q[:, None] * k1).norm(dim=2).amax(1) * k2.norm(dim=1).max() * D**-0.5 * LOG2E
    return {"q": q, "k1": k1, "k2": k2, "v1": v1, "v2": v2, "bound": bound, "w1": w1, "w2": w2}


def _far_above(gen):
    """Logits of some 300 and a bound one above the largest: its power, and theirs, are beyond fp32."""
    q, k1, k2, v1, v2 = (sharp(gen, 5, D, gain=100.0 if n == 0 else 1.0) for n in range(5))
    args = _with_bound(q.abs(), k1.abs(), k2.abs(), v1, v2, 2, 3)
    s2 = torch.einsum("id,jd,kd->ijk", args["q"], args["k1"], args["k2"]) * D**-0.5 * LOG2E
    args["bound"] = s2.masked_fill(~visible_pairs(5, 2, 3), -torch.inf).amax((1, 2)) + 1
    return Case("S=5, D=16, w1=2, w2=3, all logits far above 128", args)


def _pivot(q, k1, k2, v1, v2, bound, w1, w2, *, see=None, pivot="bound", gain=LOG2E, scale=None, normalise=True, l_of="all"):
    """``[S, D + 1]``: the output, and the sum of weights against the bound; the switches are mistakes."""
    see = visible_pairs(len(q), w1, w2).to(q.device) if see is None else see.to(q.device)
    s2 = torch.einsum("id,jd,kd->ijk", q, k1, k2) * (q.shape[1] ** -0.5 if scale is None else scale) * gain
    s2 = s2.masked_fill(~see, -torch.inf)
    m = {"bound": bound[:, None, None], "maximum": s2.amax((1, 2), keepdim=True), "none": 0.0}[pivot]
    p = torch.exp2(s2 - m)
    l = p.sum((1, 2))
    o = torch.einsum("ijk,jd,kd->id", p, v1, v2)
    return torch.cat([o / l[:, None] if normalise else o, (torch.log2(l) if l_of == "log" else l)[:, None]], 1)


def _seeing(rule):
    def wrong(q, w1, w2, **a):
        n = torch.arange(len(q))
        see = rule(n[:, None, None], n[None, :, None], n[None, None, :], w1, w2).expand(len(q), len(q), len(q))
        return _pivot(q=q, w1=w1, w2=w2, see=see, **a)

    return wrong


def _padding_counts(q, k1, k2, v1, v2, bound, w1, w2):
    """Lanes of the last tile beyond the query have a logit of 0 and a weight of 2^-bound for every j."""
    right = _pivot(q, k1, k2, v1, v2, bound, w1, w2)
    i = torch.arange(len(q), device=q.device)
    lanes, rows = -torch.minimum(i + 1, torch.tensor(w2)) % 16, torch.minimum(i + 1, torch.tensor(w1))
    l = right[:, -1] + lanes * rows * torch.exp2(-bound)
    return torch.cat([right[:, :-1] * (right[:, -1] / l)[:, None], l[:, None]], 1)


# --- 10.3 ----------------------------------------------------------------------------------------------------------------


def _tiles_of_pairs(S, w2):
    """Elements of k2 that programs of two positions load: whole tiles count only their rows that exist."""
    total = 0
    for first in range(0, S, 2):
        low, end = max(first - w2 + 1, 0), min(first + 2, S)
        total += (end - low) * D
    return total


def _pairwise(rule):
    """What a query sees by ``rule(i, j, k, first, last, w1, w2)``, with the first and the last position of its program."""

    def wrong(q, w1, w2, **a):
        n = torch.arange(len(q))
        first = n // 2 * 2
        last = (first + 1).clamp(max=len(q) - 1)
        i, first, last = (x[:, None, None] for x in (n, first, last))
        see = rule(i, n[None, :, None], n[None, None, :], first, last, w1, w2).expand(len(q), len(q), len(q))
        return _windows(q, **a, w1=w1, w2=w2, see=see)

    return wrong


# --- 10.4 ----------------------------------------------------------------------------------------------------------------

USAGE = "REG:{} STACK:{} SHARED:{} LOCAL:0 CONSTANT[0]:704 TEXTURE:0 SURFACE:0 SAMPLER:0"
HAND_LISTING = """
/*0000*/ LDC R1, c[0x0][0x28] ;
/*0010*/ @!P1 LDL R4, [R1+0x10] ;
/*0020*/ LDG.E R8, [R2.64] ;
/*0030*/ WARPGROUP.ARRIVE ;
/*0040*/ HGMMA.64x128x16.F32.BF16 R24, R4, gdesc[UR8], !UPT ;
/*0050*/ HGMMA.64x128x16.F32.BF16 R24, R8, gdesc[UR12], R24, gsb0 ;
/*0060*/ MUFU.EX2 R24, R24 ;
/*0070*/ @P0 LDL R9, [R1+0x8] ;
/*0080*/ STL [R1+0x8], R9 ;
/*0090*/ @P2 BRA 0x20 ;
/*00a0*/ MUFU.RCP R24, R24 ;
/*00b0*/ EXIT ;
"""


def _read(usage, listing, *, part="loop", predicates=True, products="HGMMA", exps="MUFU.EX2", reloads=("LDL",), spilled="STACK"):
    """``[registers, spilled, products, exponentials, reloads]``; the switches are mistakes."""
    numbers = dict(field.split(":") for field in usage.split())
    instructions = parse(listing)
    if part == "loop":
        (instructions,) = (loop for loop in loops(instructions) if any(x.name == "HGMMA" for x in loop))
    elif part == "outer":
        first, last = max(spans(instructions), key=lambda span: span[1] - span[0])
        instructions = instructions[first : last + 1]
    elif part == "first":
        instructions = loops(instructions)[0]
    if not predicates:
        instructions = [x for x in instructions if not x.predicate]
    counts = (
        sum(x.name == products for x in instructions),
        sum(x.text.startswith(exps) for x in instructions),
        sum(x.name in reloads for x in instructions),
    )
    return torch.tensor([int(numbers["REG"]), int(numbers[spilled]), *counts])


def _misread(**switches):
    return lambda usage, listing: _read(usage, listing, **switches)


def _compiled(gen):
    """A kernel as it might have been compiled: a loop without products, then one with them inside another loop, and code around them."""

    def some(low, high):
        return int(torch.randint(low, high, (1,), generator=gen))

    def mixed(*counted):
        body = [text for text, number in counted for _ in range(number)]
        return [body[n] for n in torch.randperm(len(body), generator=gen).tolist()]

    def place(texts, back=None):
        first = len(lines)
        lines.extend(texts)
        if back is not None:
            lines.append(f"@P{some(0, 6)} BRA 0x{(first - back) * 16:x}")
        return first

    lines: list[str] = []
    around = (
        ("LDL R4, [R1+0x10]", some(1, 4)),
        ("@!P1 LDL R6, [R1+0x18]", some(1, 3)),
        ("STL [R1+0x10], R4", some(1, 4)),
        ("LDG.E R8, [R2.64]", 3),
    )
    place(["NOP", *mixed(*around)])
    place(mixed(("MUFU.SQRT R9, R9", 2), ("FMNMX R9, R9, R8, !PT", 3), ("LDL R6, [R1+0x18]", some(1, 3))), back=0)
    outer = len(lines)
    place(mixed(("LDS.128 R12, [R5]", 2), ("MUFU.EX2 R10, R10", some(1, 4)), ("@P3 LDL R7, [R1+0x20]", some(1, 3)), ("BAR.SYNC 0x0", 1)))
    place(
        mixed(
            ("WARPGROUP.ARRIVE", some(1, 3)),
            ("HGMMA.64x128x16.F32.BF16 R24, R4, gdesc[UR8], R24", some(4, 9)),
            ("@P4 HGMMA.64x128x16.F32.BF16 R24, R4, gdesc[UR12], R24", some(1, 3)),
            ("MUFU.EX2 R24, R24", some(5, 12)),
            ("@!P0 MUFU.EX2 R25, R25", some(1, 4)),
            ("MUFU.LG2 R26, R26", some(1, 3)),
            ("FFMA R30, R31, R32, R30", some(5, 9)),
            ("LDL.LU R40, [R1+0x28]", some(1, 5)),
            ("@P2 LDL R41, [R1+0x30]", some(1, 3)),
            ("STL [R1+0x28], R40", some(1, 4)),
            ("LDSM.16.M88.4 R52, [R3]", some(1, 4)),
        ),
        back=0,
    )
    lines.append(f"@!P5 BRA 0x{outer * 16:x}")
    lines[0] = f"@P6 BRA 0x{len(lines) * 16:x}"  # nothing to do: on to the end
    place([*mixed(("MUFU.RCP R24, R24", 2), ("STG.E [R2.64], R24", 2), ("LDL R4, [R1+0x10]", some(1, 3))), "EXIT"])
    listing = "\n".join(f"/*{16 * n:04x}*/ {text} ;" for n, text in enumerate(lines)) + "\n"
    usage = USAGE.format(8 * some(10, 31), 8 * some(1, 40), 1024 * some(1, 9))
    return Case(f"a kernel of {len(lines)} instructions", {"usage": usage, "listing": listing})


SEQUENCE = (Argument("q", "S, H, D", "float", "H <= 8 and D = 16 in this exercise"), *S_KEYS, *W)

EXERCISES = (
    Exercise(
        id="10.1",
        entry="lower_bound",
        title="a roofline by hand (derive)",
        objective="The least time that a kernel can take, in ms: a chip multiplies at `tflops` TFLOP/s and moves `tbs` TB/s, both at the same time.",
        difficulty=1,
        minutes=10,
        arguments=(
            Argument("gflop", "", "float", "work of the kernel, GFLOP"),
            Argument("mbyte", "", "float", "bytes it must move, MB"),
            Argument("tflops", "", "float", "peak rate, TFLOP/s"),
            Argument("tbs", "", "float", "peak bandwidth, TB/s"),
        ),
        returns=Argument("ms", "", "a number", "the least time in ms"),
        hand=Case("", {"gflop": 780.0, "mbyte": 60.0, "tflops": 780.0, "tbs": 3.0}),
        cases=lambda gen: [
            Case(f"{a} GFLOP, {b} MB", {"gflop": a, "mbyte": b, "tflops": c, "tbs": d})
            for a, b, c, d in ((1.0, 300.0, 780.0, 3.0), (500.0, 200.0, 800.0, 4.0), (2.0, 2.0, 1.0, 1.0), (40.0, 90.0, 100.0, 0.5))
        ],
        answer=_roofline,
        question="how long does the card's work take on its own, and how long its bytes?",
        mistakes=(
            Mistake(
                "added",
                _number(lambda f, b, t, w: f / t + b / w / 1000),
                "the two times are added: they overlap, and the longer one decides",
                "can a chip multiply and load at once?",
            ),
            Mistake(
                "smaller",
                _number(lambda f, b, t, w: min(f / t, b / w / 1000)),
                "that is the shorter of the two times: it is over when the longer one is",
                "when is a kernel done?",
            ),
            Mistake(
                "work-only",
                _number(lambda f, b, t, w: f / t),
                "bytes are not counted",
                "what if the kernel moves a lot and multiplies little?",
            ),
            Mistake(
                "bytes-only",
                _number(lambda f, b, t, w: b / w / 1000),
                "work is not counted",
                "what if the kernel multiplies a lot and moves little?",
            ),
            Mistake(
                "microseconds",
                _number(lambda f, b, t, w: max(f / t, b / w)),
                "MB over TB/s are microseconds; GFLOP over TFLOP/s are milliseconds",
                "how many MB are a TB?",
            ),
        ),
        hints=(
            "Two times: one for the work, one for the bytes. They run at the same time.",
            "GFLOP / (TFLOP/s) = ms\nMB / (TB/s) = 1/1000 ms\nthe larger of the two",
            "`max(gflop / tflops, mbyte / tbs / 1000)`.",
        ),
    ),
    Exercise(
        id="10.2",
        entry="pivoted",
        title="a softmax without a maximum",
        objective="Write the kernel of 08.4 without a running maximum: subtract `bound[i]`, which no logit of query i exceeds. Store the output and, behind it, the sum of the weights: it certifies the row.",
        difficulty=2,
        minutes=20,
        arguments=(
            Argument("q", "S, D", "float", "D = 16 in this exercise"),
            *S_KEYS,
            Argument("bound", "S", "float", "in base 2, at least the largest logit of each query"),
            *W,
            Argument("out", "S, D + 1", "float", "holds NaN at first"),
        ),
        returns=Argument("out", "S, D + 1", "float", "`out[i, :D]` is the output, `out[i, D]` is `l = sum_jk 2^(s2_jk - bound_i)`"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case(
            "S=2, D=16, w1=2, w2=1",
            _with_bound(
                _hand_rows([[4.0], [4.0]]),
                _hand_rows([[0.0], [math.log(4)]]),
                _hand_rows([[1.0], [1.0]]),
                _hand_rows([[1.0, 1.0], [2.0, 0.0]]),
                _hand_rows([[1.0, 2.0], [3.0, 1.0]]),
                2,
                1,
            ),
        ),
        cases=lambda gen: [_bounded(gen, *s) for s in ((1, 1, 1), (15, 2, 4), (16, 1, 20), (33, 1, 17), (17, 2, 17), (6, 20, 2))],
        large=lambda gen: _bounded(gen, 256, 16, 64),
        answer=_pivot,
        axes="i d",
        verified="CPU, GPU",
        properties=(
            *_loads_what_is_seen(lambda gen: _bounded(gen, 20, 2, 3)),
            finite(
                _far_above,
                "the logits and the bound are far above 128, and some number is not finite",
                "2^300 is beyond fp32, and 2^(s2 - bound) is not: which of the two does your kernel compute?",
            ),
        ),
        question="the bound of the card's query 1 is 2, and its two logits are 0 and 2, in base 2. What is l?",
        mistakes=(
            Mistake(
                "running-maximum",
                lambda **a: _pivot(**a, pivot="maximum"),
                "l is measured against the largest logit: the bound is given so that nobody needs to look for it",
                "which number does every step subtract?",
            ),
            Mistake(
                "no-pivot",
                lambda **a: _pivot(**a, pivot="none"),
                "nothing is subtracted: large logits overflow",
                "where does the bound enter the powers?",
            ),
            Mistake(
                "padding-counts",
                _padding_counts,
                "lanes beyond the query have a logit of 0 and count as 2^-bound: their weight must be 0",
                "query 0 sees one pair. How many lanes does its tile have, and what do they add to l?",
            ),
            Mistake(
                "no-scale",
                lambda **a: _pivot(**a, scale=1.0),
                "the scale D ** -0.5 is missing from the logits",
                "what is D here, and where does SCALE_LOG2 go?",
            ),
            Mistake(
                "windows-swapped",
                _seeing(lambda i, j, k, w1, w2: _in(j, i, w2) & _in(k, i, w1)),
                "w1 bounds k and w2 bounds j: they trade places",
                "which window belongs to k1?",
            ),
            Mistake(
                "wrong-base",
                lambda **a: _pivot(**a, gain=1.0),
                "the logits are in base e and the bound and the powers in base 2",
                "what does SCALE_LOG2 hold that the scale does not?",
            ),
            Mistake(
                "not-normalised",
                lambda **a: _pivot(**a, normalise=False),
                "the output is not divided by l",
                "what is left of the bound once both acc and l hold it?",
            ),
            Mistake(
                "log-of-l",
                lambda **a: _pivot(**a, l_of="log"),
                "that is log2 of l: the certificate asks for l itself",
                "which of the two did the card promise?",
            ),
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
        ),
        hints=(
            "Take 08.4 and remove everything that serves the maximum: m, m_new and alpha. What is left is shorter than before.",
            "bound = one number\nfor k0, for j as in 08.4:\n    s2 as before\n    p = 2^(s2 - bound), 0 where k > i\n    l += sum of p;  acc += (sum over k of p * V2) * v1_j\nstore acc / l, and l behind it",
            "Rows of out are D + 1 apart: `tl.store(out_ptr + i * (D + 1) + d, acc / l)` and `tl.store(out_ptr + i * (D + 1) + D, l)`.",
        ),
    ),
    Exercise(
        id="10.3",
        entry="shared",
        title="two positions share a tile",
        objective="Eight heads fill half of 16 rows. Let a program own two neighbouring positions, 2 x 8 rows, so that each tile of second keys is loaded for both.",
        difficulty=3,
        minutes=30,
        arguments=(*SEQUENCE, Argument("out", "S, H, D", "float", "holds NaN at first")),
        returns=Argument("out", "S, H, D", "float", "2-simplicial attention under both windows, for each head"),
        writes="out",
        kernel=True,
        layout="contiguous",
        hand=Case("S=3, H=1, D=16, w1=2, w2=2", HAND_SEQUENCE | {"q": HAND_SEQUENCE["q"][:, None]}),
        cases=lambda gen: [
            _sequence(gen, *s) for s in ((1, 1, 1, 2), (2, 2, 1, 8), (17, 1, 20, 1), (20, 1, 17, 2), (19, 2, 3, 1), (5, 3, 2, 3))
        ],
        large=lambda gen: _sequence(gen, 128, 16, 64, 8),
        answer=_windows,
        axes="i h d",
        properties=(
            loads_at_most("two positions share each tile", k2_ptr=lambda a: _tiles_of_pairs(len(a["q"]), a["w2"])),
            large_logits("q", 100.0),
            causal(W_NAMES, axis=0),
        ),
        verified="CPU, GPU",
        question="positions 0 and 1 of the card share a program: over which j and k does it walk, what does each of the two not see of it, and where does the softmax of each row run?",
        mistakes=(
            *(m for m in _window_mistakes() if m.name != "hidden-lanes-count"),
            SWAPPED,
            *(_with_windows(m) for m in (OVER_K, NO_SCALE, BASE_E, NOT_NORMALISED)),
            Mistake(
                "j-not-masked",
                _pairwise(lambda i, j, k, first, last, w1, w2: (j > first - w1) & (j <= last) & _in(k, i, w2)),
                "both rows take every j of the walk: j needs a mask for each row",
                "which j of the walk does the second row not see, and which one the first?",
            ),
            Mistake(
                "k-begins-together",
                _pairwise(lambda i, j, k, first, last, w1, w2: _in(j, i, w1) & (k > first - w2) & (k <= i)),
                "the second row sees one second key too many: the first row's window begins earlier",
                "k > i - w2: with whose i?",
            ),
            Mistake(
                "k-ends-together",
                _pairwise(lambda i, j, k, first, last, w1, w2: _in(j, i, w1) & (k > i - w2) & (k <= last)),
                "the first row sees the second one's own position: k <= i is not masked for each row",
                "k <= i: with whose i?",
            ),
            Mistake(
                "first-position-s-window",
                lambda q, w1, w2, **a: _windows(q, **a, w1=w1, w2=w2, see=_as_the_first(len(q), w1, w2)),
                "both rows see what the first position sees: masks must use each row's own position",
                "row r stands at position i_first + r // 8. Does your mask know r?",
            ),
        ),
        hints=(
            "It is step 5 of the chapter on the forward: loops over what some row sees, masks for what each row sees.",
            "r = 0 ... 15, i = i_first + r // 8, h = r % 8\nj from max(i_first - w1 + 1, 0), k from max(i_first - w2 + 1, 0), both to the last position that exists\nsee = (k <= i) & (k > i - w2) & (j <= i) & (j > i - w1), [16, 16]: i down as i[:, None], k across as k[None, :]\nthe rest as in 08.5",
            "`end = tl.minimum(i_first + 2, S)`, tiles masked by `k0 + n < end`. Rows that do not exist may end with l = 0: `l = tl.where(i < S, l, 1.0)` spares a division by it.",
        ),
    ),
    Exercise(
        id="10.4",
        entry="read_kernel",
        title="reading the compiled kernel",
        objective="What did the compiler make of a kernel? From its line on resources: registers of a thread and bytes spilled, which it calls STACK. From its listing, in the innermost loop that has products: products (HGMMA), exponentials (MUFU.EX2), reloads of spilled registers (LDL).",
        difficulty=2,
        minutes=20,
        arguments=(
            Argument("usage", "", "str", "fields `NAME:number`, with spaces between"),
            Argument(
                "listing",
                "",
                "str",
                "a line for each instruction: `/*address*/ @predicate NAME.MODIFIERS operands ;`, the predicate or none",
            ),
        ),
        returns=Argument("numbers", "5", "whole numbers", "registers, bytes spilled, products, exponentials, reloads"),
        hand=Case("", {"usage": USAGE.format(255, 232, 1024), "listing": HAND_LISTING}),
        cases=lambda gen: [_compiled(gen) for _ in range(4)],
        answer=_read,
        axes="number",
        question="the loop of the card ends at 0090 and begins where that branch goes: which lines of it are products, exponentials, reloads?",
        mistakes=(
            Mistake(
                "whole-listing",
                _misread(part="all"),
                "you counted in the whole listing; what stands outside of the loop runs once, or once a tile",
                "where does the branch backwards go, and what stands before that line?",
            ),
            Mistake(
                "outer-loop",
                _misread(part="outer"),
                "you counted in the outer loop: the innermost one that has products is asked for",
                "is there a branch backwards inside of your loop?",
            ),
            Mistake(
                "first-loop",
                _misread(part="first"),
                "you counted in the first loop: it has no products",
                "which of the loops holds an HGMMA?",
            ),
            Mistake(
                "predicates",
                _misread(predicates=False),
                "instructions behind a predicate, `@P0` or `@!P0`, are missed: they are executed, too",
                "what is the first word of line 0070 of the card?",
            ),
            Mistake(
                "all-mufu",
                _misread(exps="MUFU"),
                "all MUFU are counted: the special-function unit also computes reciprocals, roots and logarithms",
                "which modifier says that a power of two is meant?",
            ),
            Mistake(
                "stores-too",
                _misread(reloads=("LDL", "STL")),
                "stores to local memory are counted as reloads: STL spills, LDL loads again",
                "which of the two has to wait for memory?",
            ),
            Mistake(
                "all-loads",
                _misread(reloads=("LDL", "LDS", "LDSM", "LDG", "LDC")),
                "all loads are counted: LDL alone reads local memory, where spilled registers lie",
                "what does the L of LDL stand for, and the S of LDS?",
            ),
            Mistake(
                "local",
                _misread(spilled="LOCAL"),
                "LOCAL is 0 for all kernels here: what is spilled lies on the STACK",
                "which field of the card says 232?",
            ),
            Mistake(
                "shared",
                _misread(spilled="SHARED"),
                "SHARED is shared memory, not what was spilled",
                "which field of the card says 232?",
            ),
            Mistake(
                "warpgroup",
                _misread(products="WARPGROUP"),
                "WARPGROUP lines wait for products; HGMMA is the product",
                "which instruction names a shape such as 64x128x16?",
            ),
        ),
        hints=(
            "Split the work: fields of the usage line; lines to addresses and names; where the loop begins and ends; count.",
            "a loop: from the target of a BRA to the BRA itself, if the target is not behind it\ninnermost: no other such pair lies inside\nfor each line of it: drop a first word that begins with @, cut the next one at its first dot",
            "`re.findall(r'/\\*(\\w+)\\*/ (?:@\\S+ )?(\\S+) ?(.*?) ?;', listing)` gives address, name and operands of each line; `int(address, 16)` is a number.",
        ),
    ),
)


def _as_the_first(S, w1, w2):
    """Each pair of positions sees what its first one sees."""
    n = torch.arange(S)
    i = (n // 2 * 2)[:, None, None]
    return _in(n[None, :, None], i, w1) & _in(n[None, None, :], i, w2)
