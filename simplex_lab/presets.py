"""Named sets of training runs: what ``simplex-lab train --preset NAME`` runs and what the chapters show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from simplex_lab import records
from simplex_lab.model import ModelConfig, match_parameters, parameter_count
from simplex_lab.tasks import Match
from simplex_lab.train import TrainConfig, train

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


def runs(preset: str, seeds: int) -> Iterator[tuple[str, TrainConfig]]:
    """The ``(arm, config)`` of every run in a preset.

    Raises:
        ValueError: no preset of that name.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset={preset!r}: choose one of {sorted(PRESETS)}")
    for seed in range(seeds):
        for arm, config in chapter00(seed).items():
            for lr in PRESETS[preset] or (config.lr,):
                yield arm, replace(config, lr=lr)


PRESETS = {"chapter00": (), "chapter00_rates": RATES}


def record(preset: str, seeds: int, out: str | None = None, say=print) -> str:
    """Run a preset and write ``results/<preset>.csv``: accuracy along the tokens (for a grid of rates, only the last) and seconds."""
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least 1")
    torch.set_num_threads(1)  # more threads gain nothing for models this small, and slow each other down on a busy machine
    command = f"simplex-lab train --preset {preset} --seeds {seeds}"
    source, rows = records.provenance(command), []
    for arm, config in runs(preset, seeds):
        history = train(config)
        about = {
            "arm": arm,
            "lr": config.lr,
            "steps": config.steps,
            "batch": config.batch,
            "parameters": parameter_count(config.model),
            "n": config.task.n,
            "modulus": config.task.modulus,
        }
        points = list(zip(history.tokens, history.accuracy, strict=True))
        for tokens, accuracy in points[-1:] if PRESETS[preset] else points:
            rows.append(records.row(preset, about | {"tokens": tokens}, config.seed, "accuracy", accuracy, "1", source))
        rows.append(records.row(preset, about, config.seed, "training time", history.seconds, "s", source))
        say(f"seed {config.seed}  lr {config.lr:<7g} {arm:22s} accuracy {history.accuracy[-1]:.3f}  {history.seconds:5.1f} s")
    return str(records.write(out or records.RESULTS / f"{preset}.csv", rows))
