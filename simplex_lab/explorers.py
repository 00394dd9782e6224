"""The explorers of the chapters: which figure, which sliders, which sentence."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

from simplex_lab import efficiency_plots, experiments, plots, program_plots, roofline, scaling, scaling_plots, tiled, verdicts
from simplex_lab.rotations import about_third_axis
from simplex_lab.tasks import Match, match3_partners
from simplex_lab.widgets import Slider, explorer
from simplex_lab.windows import (
    count_pairs,
    count_triples,
    dot_product_flops,
    logits_bytes,
    two_simplicial_flops,
    visible,
    visible_pairs,
)

WORDS = ("the", "cat", "that", "we", "fed", "naps")


def match3_explorer(task: Match) -> None:
    """Chapter 00: sequences of Match3 with the triangles that end at one position."""

    def look(sequence, i):
        x, _ = task.sample(1, torch.Generator().manual_seed(sequence))
        return x[0], match3_partners(x[0], i, task.modulus)

    def draw(sequence, i):
        x, partners = look(sequence, i)
        return plots.match_sequence(x, task.modulus, i, partners)

    def say(sequence, i):
        x, partners = look(sequence, i)
        pairs = i * (i - 1) // 2
        found = f"{len(partners)} of them sum with it to a multiple of {task.modulus}: label {int(bool(partners))}"
        return f"Token {int(x[i])} at position {i} has {pairs} pairs of earlier tokens. {found}."

    explorer(
        draw,
        say,
        sequence=Slider("sequence", 3, 0, 20),
        i=Slider("query position i", task.n - 3, 0, task.n - 1),
    )


def weights_explorer(seed: int = 5) -> None:
    """Chapter 01: a weight matrix under its mask and scale."""
    gen = torch.Generator().manual_seed(seed)
    S, D = len(WORDS), 8
    q, k = torch.randn(S, D, generator=gen), torch.randn(S, D, generator=gen)
    masks = {
        "none": visible(S, causal=False),
        "causal": visible(S),
        "causal, window w = 2": visible(S, 2),
    }

    def weights(mask, gain):
        return (gain * (q @ k.T) * D**-0.5).masked_fill(~masks[mask], -torch.inf).softmax(-1)

    def draw(i, mask, gain):
        return plots.weight_matrix(weights(mask, gain), row=i, tokens=WORDS)

    def say(i, mask, gain):
        row = weights(mask, gain)[i]
        top = int(row.argmax())
        return (
            f"Query {i} ({WORDS[i]}) sees {int(masks[mask][i].sum())} of {S} keys. Its weights sum to {row.sum():.2f}; "
            f"the largest, {row[top]:.2f}, goes to key {top} ({WORDS[top]})."
        )

    explorer(
        draw,
        say,
        i=Slider("query i", 4, 0, S - 1),
        mask=Slider("mask", "causal", options=tuple(masks)),
        gain=Slider("logits times", 1.5, 0.0, 8.0, 0.5),
    )


def cube_explorer(S: int = 12, D: int = 8, seed: int = 1) -> None:
    """Chapter 03: one slice of the weight cube, the (j, k) plane of a query, under two windows."""
    gen = torch.Generator().manual_seed(seed)
    q, k1, k2 = (torch.randn(S, D, generator=gen) for _ in range(3))
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * D**-0.5

    def weights(w1, w2, gain):
        hidden = ~visible_pairs(S, w1, w2)
        return (gain * A).masked_fill(hidden, -torch.inf).flatten(1).softmax(-1).view(S, S, S)

    def draw(i, w1, w2, gain):
        return plots.pair_plane(weights(w1, w2, gain), i, w1=w1, w2=w2)

    def say(i, w1, w2, gain):
        plane = weights(w1, w2, gain)[i]
        seen = int(visible_pairs(S, w1, w2)[i].sum())
        j, k = divmod(int(plane.argmax()), S)
        return (
            f"Query {i} sees {seen} pairs (j, k). Their weights sum to {plane.sum():.2f}; the largest, {plane.max():.2f}, "
            f"goes to the pair j={j}, k={k}."
        )

    explorer(
        draw,
        say,
        i=Slider("query i", 9, 0, S - 1),
        w1=Slider("window w1 (for j)", 8, 1, S),
        w2=Slider("window w2 (for k)", 5, 1, S),
        gain=Slider("logits times", 2.0, 0.0, 8.0, 0.5),
    )


def walk_explorer(S: int = 12, i: int = 9, w1: int = 4, w2: int = 8, D: int = 6, seed: int = 2) -> None:
    """Chapter 06: one query's walk over tiles of pairs, step by step."""
    gen = torch.Generator().manual_seed(seed)
    q, k1, k2, v1, v2 = (torch.randn(S, D, generator=gen, dtype=torch.float64) for _ in range(5))

    def walk(gain, block_k):
        trace: list = []
        row = torch.tensor([i])
        tiled.forward_program(gain * q[row], k1, k2, v1, v2, i=row, w1=w1, w2=w2, block_k=block_k, trace=trace)
        return trace

    def draw(step, block_k, gain):
        trace = walk(gain, block_k)
        return plots.walk_state(S, i, trace, w1=w1, w2=w2, block_k=block_k, step=min(step, len(trace)))

    def say(step, block_k, gain):
        trace = walk(gain, block_k)
        step = min(step, len(trace))
        if step == 0:
            return f"Query {i} has {w1 * w2} pairs and will visit them in {len(trace)} steps. It holds m, l and {D} numbers of acc."
        _, _, m, l, _ = trace[step - 1]
        grew = m.item() - trace[max(step - 2, 0)][2].item()
        scaled = f"The maximum grew by {grew:.2f}: l and acc were multiplied by 2^-{grew:.2f}. " if grew > 0 else ""
        share = (l * torch.exp2(m) / (trace[-1][3] * torch.exp2(trace[-1][2]))).item()
        return (
            f"Step {step} of {len(trace)}: m = {m.item():.2f}, l = {l.item():.2f}. {scaled}The pairs so far hold {share:.0%} of the weight."
        )

    explorer(
        draw,
        say,
        step=Slider("steps done", 5, 0, 16),
        block_k=Slider("second keys in a tile", 4, options=(2, 4, 8)),
        gain=Slider("logits times", 2.0, 0.0, 8.0, 0.5),
    )


def budget_explorer() -> None:
    """Chapter 05: what two windows cost, beside dot-product attention over a context."""
    sizes = (16, 32, 64, 128, 256, 512, 1024)
    contexts = tuple(2**e for e in range(10, 18))
    D = 128

    def work(w1, w2, n):
        return dot_product_flops(n, 1) / n, two_simplicial_flops(n, 1, w1, w2) / n

    def layer(w1, w2, n):
        """One head of D channels over the whole context: rows ``(what, dot product, triples)``, the first with their names."""
        flops, paper = (two_simplicial_flops(n, D, w1, w2, convention=c) for c in ("matmul", "paper"))
        return [
            (f"one head of {D} channels, whole context", "dot product", "triples"),
            ("pairs, triples", short(count_pairs(n)), short(count_triples(n, w1, w2))),
            ("FLOPs, 4 D a pair, 4 D a triple", short(dot_product_flops(n, D)), short(flops)),
            ("FLOPs, 4 D a pair, 6 D a triple", short(dot_product_flops(n, D)), short(paper)),
            ("q, k, v, o or q, k1, k2, v1, v2, o in bf16", short(4 * n * D * 2) + "B", short(6 * n * D * 2) + "B"),
            ("visible logits in fp32", short(4 * count_pairs(n)) + "B", short(4 * count_triples(n, w1, w2)) + "B"),
            ("naive: all n² or n³ logits in fp32", short(logits_bytes(n, 1, order=2)) + "B", short(logits_bytes(n, 1, order=3)) + "B"),
        ]

    def draw(w1, w2, n):
        return plots.window_budget(w1, w2, n, *work(w1, w2, n), layer(w1, w2, n))

    def say(w1, w2, n):
        pair, triple = work(w1, w2, n)
        more = f"{triple / pair:.1f} times" if triple > pair else f"{triple / pair:.2f} of"
        _, _, (_, dot, flops), *_, (_, _, cube) = layer(w1, w2, n)
        return (
            f"Away from the start a query sees {w1} x {w2} = {w1 * w2:,} pairs. Averaged over a context of {n:,}, that is {more} "
            f"the work of dot-product attention, counted in FLOPs of matrix products. One head of {D} channels over the whole context: "
            f"{flops} FLOPs, a dot product's {dot}; the naive cube would hold {cube}."
        )

    explorer(
        draw,
        say,
        w1=Slider("window w1 (for j)", 512, options=sizes),
        w2=Slider("window w2 (for k)", 32, options=sizes),
        n=Slider("context n", 8192, options=contexts),
    )


def rotation_explorer(seed: int = 4) -> None:
    """Chapter 04: q, k1 and k2 turned together around the third axis, and what three scores make of it."""
    gen = torch.Generator().manual_seed(seed)
    vectors = torch.randn(3, 3, generator=gen, dtype=torch.float64)
    angles = list(range(0, 361, 5))

    def scores(angle):
        q, k1, k2 = vectors @ about_third_axis(torch.tensor(math.radians(angle), dtype=torch.float64)).T
        dot, product = (q * k1).sum().item(), (q * k1 * k2).sum().item()
        return {"dot product <q, k1>": dot, "trilinear": product, "determinant": torch.linalg.det(torch.stack([q, k1, k2])).item()}

    curves = {name: [scores(a)[name] for a in angles] for name in scores(0)}

    def draw(angle):
        return plots.rotation_scores(angles, curves, angle, vectors)

    def say(angle):
        now = scores(angle)
        return (
            f"Turned by {angle} degrees: dot product {now['dot product <q, k1>']:.2f}, as before; "
            f"trilinear {now['trilinear']:.2f} instead of {curves['trilinear'][0]:.2f}; determinant {now['determinant']:.2f}, as before."
        )

    explorer(draw, say, angle=Slider("turn (degrees)", 60, 0, 360, 5))


def short(number: float) -> str:
    """``number`` to three digits with k, M, G, T or P for powers of a thousand, and a space before the letter: ``2.2 T``."""
    size = 0
    while number >= 999.5 and size < 5:
        number, size = number / 1000, size + 1
    return f"{number:.3g} {' kMGTP'[size]}".rstrip()


def program_explorer(S: int = 24, w1: int = 4, w2: int = 12, block_k: int = 4) -> None:
    """Chapter 08: the walk of one program that owns neighbouring positions."""
    start = 12

    def walk(positions):
        return program_plots.steps(S, start, positions, w1, w2, block_k)

    def draw(step, positions):
        step = min(step, len(walk(positions)))
        return program_plots.program_walk(S, start, positions, w1=w1, w2=w2, block_k=block_k, step=step)

    def say(step, positions):
        steps = walk(positions)
        step = min(step, len(steps))
        j, k0, seen = steps[step - 1]
        used = sum(int(s.sum()) for *_, s in steps) / (len(steps) * positions * block_k)
        whole = sum(bool(s.all()) for *_, s in steps)
        return (
            f"Step {step} of {len(steps)}: first key {j} against second keys {k0} to {k0 + block_k - 1}; {int(seen.sum())} of its "
            f"{seen.size} pairs are seen. {whole} steps need no mask. Of all pairs computed, {used:.0%} are seen."
        )

    explorer(
        draw,
        say,
        step=Slider("step", 9, 1, 55),
        positions=Slider("positions of a program", 4, options=(1, 2, 4, 8)),
    )


def roofline_explorer(context: int = 8192) -> None:
    """Chapter 10: 2-simplicial attention on a chip's roofline, in training and in a decode step, beside dot-product attention."""
    chip = roofline.published_chip()

    def points(w1, w2, group):
        return {
            "pairs, decode": (roofline.intensity(context, None, group, decode=True), "dot"),
            "triples, decode": (roofline.intensity(w1, w2, group, decode=True), "triples"),
            "pairs, training": (roofline.intensity(context // 2, None, group), "dot"),
            "triples, training": (roofline.intensity(w1, w2, group), "triples"),
        }

    def draw(w1, w2, group):
        return plots.roofline(chip, points(w1, w2, group))

    def say(w1, w2, group):
        at = {name: found for name, (found, _) in points(w1, w2, group).items()}
        waits = {name: "products" if found > chip.ridge else "memory" for name, found in at.items()}
        return (
            f"Windows {w1} x {w2}, {group} query heads on a key head: {at['triples, training']:,.0f} FLOPs a byte in training, "
            f"which waits for {waits['triples, training']}; {at['triples, decode']:,.0f} in a decode step, which waits for "
            f"{waits['triples, decode']}. Attention over {context:,} keys: {at['pairs, training']:,.0f} and {at['pairs, decode']:,.0f}."
        )

    explorer(
        draw,
        say,
        w1=Slider("window w1 (for j)", 32, options=(1, 4, 16, 32, 128, 512)),
        w2=Slider("window w2 (for k)", 512, options=(1, 8, 32, 128, 512, 1024)),
        group=Slider("heads on a key head", 16, options=(1, 2, 4, 8, 16, 64, 128)),
    )


def learning_explorer() -> None:
    """Chapter 12: the recorded curves of a task, all arms or two, cut at a budget."""
    _, rows, _ = verdicts.recorded()
    tasks = [t for t in experiments.TASKS if verdicts.curves(rows, t)]
    arms = {"all": "", "dot products": "dot", "2-simplicial": "2-simplicial", "four layers": "4"}
    guesses = {t: experiments.TASKS[t].task.guess_accuracy() for t in tasks if t != "code"}

    @functools.cache
    def chosen(task, which):
        metric = "held-out loss" if task == "code" else "accuracy"
        return {arm: seeds for arm, seeds in verdicts.curves(rows, task, metric).items() if arms[which] in arm}

    def whole(task):
        asked = experiments.TASKS[task]
        return asked.steps * experiments.batch(asked.task) * asked.task.n

    def draw(task, which, budget):
        options = {"target": None if task == "code" else experiments.TARGET, "guess": guesses.get(task), "loss": task == "code"}
        return efficiency_plots.learning(chosen(task, which), budget=budget / 100 * whole(task), **options)

    def say(task, which, budget):
        at, ends = budget / 100 * whole(task), {}
        for arm, seeds in chosen(task, which).items():
            last = [[v for t, v in zip(*curve, strict=True) if t <= at][-1:] for curve in seeds.values()]
            ends[arm] = sorted(v for values in last for v in values)
        told = "; ".join(f"{arm} {v[len(v) // 2]:.3f}" for arm, v in ends.items() if v)
        return f"{task}, after {at / 1e6:.1f} million tokens, medians over seeds: {told}."

    explorer(
        draw,
        say,
        task=Slider("task", "Match3", options=tuple(tasks)),
        which=Slider("arms", "all", options=tuple(arms)),
        budget=Slider("budget (% of tokens)", 40, 10, 100, 5),
    )


def offset_explorer() -> None:
    """Chapter 13: losses of a known law, measured with noise at a few sizes, and what two fits make of them."""

    def measured(E, noise, sizes, seed, alpha=0.3):
        truth = scaling.PowerLaw(alpha, math.log(1 / 40), E, 0.0, 1.0, 0)
        N = np.geomspace(1e5, 1e7, sizes)
        L = truth.loss(N)[:, None] * np.exp(noise / 100 * np.random.default_rng(seed).standard_normal((sizes, 3)))
        return N, L, truth

    @functools.cache
    def fits(E, noise, sizes, seed):
        N, L, truth = measured(E, noise, sizes, seed)
        return N, L, scaling.straight(N, L.mean(1)), scaling.with_offset(N, L.mean(1)), truth

    def draw(E, noise, sizes, seed=4):
        return scaling_plots.two_fits(*fits(E, noise, sizes, seed))

    def say(E, noise, sizes, seed=4):
        _, _, straight, offset, truth = fits(E, noise, sizes, seed)
        return (
            f"The truth: alpha {truth.alpha:.2f}, E {E:.1f}. {sizes} sizes, three seeds each, seeds differ by {noise:g}%. "
            f"The straight line finds alpha {straight.alpha:.3f} with R^2 {straight.r2:.4f}; the fit with an offset alpha "
            f"{offset.alpha:.3f}, E {offset.E:.2f}."
        )

    explorer(
        draw,
        say,
        E=Slider("offset E (nats)", 1.0, 0.0, 2.0, 0.2),
        noise=Slider("spread of seeds (%)", 2.0, 0.0, 3.0, 0.5),
        sizes=Slider("sizes", 5, 3, 9),
        seed=Slider("random draw", 0, 0, 9),
    )
