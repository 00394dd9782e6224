"""Named sets of training runs: what ``simplex-lab train --preset NAME`` runs and what the chapters show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch

from simplex_lab import experiments, parallel, records, verdicts
from simplex_lab.efficiency import tokens_to
from simplex_lab.model import ModelConfig, match_parameters, parameter_count
from simplex_lab.tasks import Composition, Match, WindowBits
from simplex_lab.train import History, TrainConfig, train_with_bar

RATES = (1.5e-3, 3e-3, 6e-3, 1.2e-2)

# The best of RATES for each arm, by the median over seeds in results/chapter00_rates.csv (a test holds the two together).
BEST_RATE = {"2-simplicial, 1 layer": 1.2e-2, "dot product, 1 layer": 6e-3, "dot product, 2 layers": 6e-3}


def chapter00(seed: int = 0) -> dict[str, TrainConfig]:
    """Causal Match3 (distinct positions) for three arms with equal parameters, equal tokens and the same data in the same order."""
    task = Match(order=3, n=12, modulus=23)
    triple = ModelConfig(vocabulary=task.vocabulary, length=task.n, layers=("simplicial",), width=64, heads=2, hidden=256)
    target = parameter_count(triple)
    models = {
        "2-simplicial, 1 layer": triple,
        "dot product, 1 layer": match_parameters(replace(triple, layers=("dot",)), target),
        "dot product, 2 layers": match_parameters(replace(triple, layers=("dot", "dot")), target),
    }
    return {arm: TrainConfig(model=model, task=task, steps=500, batch=128, lr=BEST_RATE[arm], seed=seed) for arm, model in models.items()}


TASKS = {
    "Match2": Match(order=2, n=12, modulus=23),
    "parity, one head": WindowBits("parity", n=8, span=3),
    "parity, two heads": WindowBits("parity", n=8, span=3),
    "majority, one head": WindowBits("majority", n=8, span=3),
    "composition": Composition(elements=4, edges=6, queries=6),
}

# The best of CHAPTER02_RATES for each arm, by the median over seeds in results/chapter02_rates.csv (a test holds the two together).
CHAPTER02_RATES = (3e-3, 8e-3)
CHAPTER02_BEST = {
    ("Match2", "2-simplicial, 1 layer"): 8e-3,
    ("Match2", "dot product, 1 layer"): 3e-3,
    ("parity, one head", "2-simplicial, 1 layer"): 8e-3,
    ("parity, one head", "dot product, 1 layer"): 3e-3,
    ("parity, two heads", "2-simplicial, 1 layer"): 3e-3,
    ("parity, two heads", "dot product, 1 layer"): 3e-3,
    ("majority, one head", "2-simplicial, 1 layer"): 3e-3,
    ("majority, one head", "dot product, 1 layer"): 3e-3,
    ("composition", "2-simplicial, 1 layer"): 8e-3,
    ("composition", "dot product, 1 layer"): 3e-3,
    ("composition", "dot product, 2 layers"): 3e-3,
}


def chapter02(seed: int = 0) -> dict[tuple[str, str], TrainConfig]:
    """``{(task, arm): run}``: what pairs learn and what they do not; in each task equal tokens, equal data, about equal parameters.

    The tasks on bits are for attention alone, without an MLP, with windows of three positions. There the dot-product model is wider.
    """
    found = {}
    for name, task in TASKS.items():
        base = ModelConfig(vocabulary=task.vocabulary, length=task.n, layers=("simplicial",), width=64, heads=2, hidden=128)
        if isinstance(task, WindowBits):
            base = replace(base, heads=1 if "one" in name else 2, hidden=0, w1=task.span, w2=task.span)
            models = {"2-simplicial, 1 layer": base, "dot product, 1 layer": replace(base, layers=("dot",), width=80)}
        else:
            target = parameter_count(base)
            models = {
                "2-simplicial, 1 layer": base,
                "dot product, 1 layer": match_parameters(replace(base, layers=("dot",)), target),
            }
            if isinstance(task, Composition):
                models["dot product, 2 layers"] = match_parameters(replace(base, layers=("dot", "dot")), target)
        for arm, model in models.items():
            found[name, arm] = TrainConfig(model=model, task=task, steps=300, batch=128, lr=CHAPTER02_BEST[name, arm], seed=seed)
    return found


PLACES = {
    "2-simplicial below": {"layers": ("simplicial", "dot")},
    "2-simplicial above": {"layers": ("dot", "simplicial")},
    "dot product, 2 layers": {"layers": ("dot", "dot")},
    "2-simplicial below, embedding of 0.02": {"layers": ("simplicial", "dot"), "embedding": 0.02},
    "2-simplicial above, embedding of 0.02": {"embedding": 0.02},
    "2-simplicial above, embedding of 0.3": {"embedding": 0.3},
    "2-simplicial above, embedding of 0.02, skip": {"embedding": 0.02, "skip": True},
    "2-simplicial above, embedding of 0.02, norm of queries and keys": {"embedding": 0.02, "qk_norm": True},
    "2-simplicial above, embedding of 0.02, value bias of one": {"embedding": 0.02, "v2_bias": 1.0},
    "dot product, 2 layers, embedding of 0.02": {"layers": ("dot", "dot"), "embedding": 0.02},
}


def probe_places(seed: int = 0) -> dict[str, TrainConfig]:
    """Causal Match3 with two layers: does it matter where the 2-simplicial one stands? A probe for ``results/plan.md``, at one rate."""
    task = Match(order=3, n=12, modulus=17)
    base = ModelConfig(task.vocabulary, task.n, ("dot", "simplicial"), width=64, heads=2, hidden=128)
    models = {arm: match_parameters(replace(base, **options), parameter_count(base)) for arm, options in PLACES.items()}
    return {arm: TrainConfig(model, task, steps=400, batch=128, lr=2e-3, seed=seed, eval_every=50) for arm, model in models.items()}


# Tokens that are small beside what a layer adds, or are not, in six ways; the 2-simplicial layer stands above
DROWNED = {
    "starts at 1": {},
    "starts at 0.02": {"embedding": 0.02},
    "starts at 0.02, residuals of 0.02": {"embedding": 0.02, "residual": 0.02},
    "starts at 0.02, times 50": {"embedding": 0.02, "scale": 50.0},
    "starts at 1, times 0.02": {"scale": 0.02},
    "starts at 1, residuals of 50": {"residual": 50.0},
}


# Positions as large as tokens, and weights that start so small that a step changes them by a tenth: which of the two hurts?
POSITIONS = {
    "positions of 1": {"position_size": 1.0},
    "starts at 0.02, positions of 0.0004, times 50": {"embedding": 0.02, "position_size": 0.0004, "scale": 50.0},
    "starts at 0.02, positions of 0.0004": {"embedding": 0.02, "position_size": 0.0004},
}


def probe_drowned(seed: int = 0) -> dict[str, TrainConfig]:
    """As :func:`probe_places`, the 2-simplicial layer above: is it the size of tokens beside what a layer adds?"""
    above = probe_places(seed)["2-simplicial above"]
    return {arm: replace(above, model=replace(above.model, **options)) for arm, options in DROWNED.items()}


def probe_positions(seed: int = 0) -> dict[str, TrainConfig]:
    """As :func:`probe_drowned`: is it the size of positions beside tokens?"""
    above = probe_places(seed)["2-simplicial above"]
    return {arm: replace(above, model=replace(above.model, **options)) for arm, options in POSITIONS.items()}


def again(task: str, seed: int = 0) -> dict[str, TrainConfig]:
    """The runs of chapter 12 that the ratio of a task is made of, as they are recorded in ``results/fine.csv``."""
    v = verdicts.verdict(task, *verdicts.recorded())
    recorded = {row["config"]["cell"] for row in records.read("fine.csv")}
    cells = [cell for cell in experiments.fine(records.read("choosing.csv")) if cell.key in recorded and cell.config.seed == seed]
    of_task = {dict(cell.about)["arm"]: cell.config for cell in cells if dict(cell.about)["task"] == task}
    return {arm: config for arm, config in of_task.items() if arm in (v.ours, v.theirs)}


# Rows of an experiment that anybody can run once more, one after the other on whatever machine there is
AGAIN = {"match3": "Match3", "relations": "relations", "functions": "functions"}
PRESETS = {
    **{preset: (partial(again, task), ()) for preset, task in AGAIN.items()},
    "probe_places": (probe_places, ()),
    "probe_drowned": (probe_drowned, ()),
    "probe_positions": (probe_positions, ()),
    "chapter00": (chapter00, ()),
    "chapter00_rates": (chapter00, RATES),
    "chapter02": (chapter02, ()),
    "chapter02_rates": (chapter02, CHAPTER02_RATES),
}


def runs(preset: str, seeds: int) -> Iterator[tuple[str | tuple[str, str], TrainConfig]]:
    """The ``(arm, config)`` of every run in a preset.

    Raises:
        ValueError: no preset of that name.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset={preset!r}: choose one of {sorted(PRESETS)}")
    arms, rates = PRESETS[preset]
    for seed in range(seeds):
        for arm, config in arms(seed).items():
            for lr in rates or (config.lr,):
                yield arm, replace(config, lr=lr)


def sizes(task: Match | WindowBits | Composition) -> dict:
    """The numbers that name a task in a record; two hops are what a composition has unless it says so."""
    return {
        name: value for name, value in asdict(task).items() if name not in ("order", "distinct", "causal") and (name, value) != ("hops", 2)
    }


def record(preset: str, seeds: int, out: str | None = None, say=print, *, device: str = "cpu", keep: Path | None = None) -> str:
    """Run a preset and write ``results/<preset>.csv``: accuracy along the tokens (for a grid of rates, only the last) and seconds.

    A row of an experiment that is run once more is recorded as there, by its tokens to the target, and told beside what is recorded.
    ``keep`` is a folder for checkpoints: after an interruption the same call goes on from there. Started by ``torchrun``, the processes
    share each batch, and the first one tells and writes.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least 1")
    torch.set_num_threads(1)  # more threads gain nothing for models this small, and slow each other down on a busy machine
    parallel.start()
    first, out = parallel.rank() == 0, Path(out or records.RESULTS / f"{preset}.csv")
    command = f"simplex-lab train --preset {preset} --seeds {seeds}"
    source, rows = records.provenance(command), []
    for number, (arm, config) in enumerate(runs(preset, seeds)):
        task, arm = arm if isinstance(arm, tuple) else ("", arm)
        checkpoint = keep / f"{number}.pt" if keep else None
        history = train_with_bar(f"{arm}, seed {config.seed}", config, keep=checkpoint, device=device)
        about = {"task": task} if task else {}
        about |= {"arm": arm, "lr": config.lr, "steps": config.steps, "batch": config.batch, "parameters": parameter_count(config.model)}
        about |= sizes(config.task)
        for metric, value, unit, at in _measured(preset, history):
            rows.append(records.row(preset, about | at, config.seed, metric, value, unit, source))
        last, seconds = history.accuracy[-1], history.seconds
        if first:
            say(f"seed {config.seed}  lr {config.lr:<7g} {task:20s} {arm:22s} accuracy {last:.3f}  {seconds:5.1f} s")
    if first and preset in AGAIN:
        say(beside_the_record(preset, rows))
    return str(records.write(out, rows) if first else out)


def _measured(preset: str, h: History) -> Iterator[tuple[str, float, str, dict]]:
    """``(metric, value, unit, where)`` of a run, as the records of this preset have them."""
    if preset in AGAIN:
        yield "tokens to target", tokens_to(experiments.TARGET, h.tokens, h.accuracy), "tokens", {}
        yield "final accuracy", h.accuracy[-1], "1", {}
    else:
        points = list(zip(h.tokens, h.accuracy, strict=True))
        for tokens, accuracy in points[-1:] if PRESETS[preset][1] else points:
            yield "accuracy", accuracy, "1", {"tokens": tokens}
    yield "training time", h.seconds, "s", {}


def beside_the_record(preset: str, rows: list[dict[str, str]]) -> str:
    """A line for each arm: tokens to the target of these ``rows`` beside those of ``results/fine.csv``.

    With as many seeds as are recorded it says whether the median lies among them. A single seed would miss the range of five others one
    time in three, though nothing were different.
    """
    lines, recorded = [], [row for row in records.read("fine.csv") if row["config"]["task"] == AGAIN[preset]]
    for arm in again(AGAIN[preset]):
        here = [float(row["value"]) for row in rows if row["metric"] == "tokens to target" and json.loads(row["config"])["arm"] == arm]
        there = sorted(records.final(recorded, "tokens to target", arm=arm))
        told = ", ".join(f"{n / 1e6:.2f}M" for n in sorted(here))
        line = f"{arm}: {told} tokens to {experiments.TARGET:.0%}; recorded: {there[0] / 1e6:.2f}M to {there[-1] / 1e6:.2f}M"
        if len(here) >= len(there):
            line += f"; the median is {'within' if there[0] <= median(here) <= there[-1] else 'NOT within'} the recorded seeds"
        lines.append(line)
    return "\n".join(lines)
