"""What the recorded runs say about where a 2-simplicial layer stands, and about what gives a layer its gain back."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from math import inf
from statistics import median

from simplex_lab import experiments, records
from simplex_lab.efficiency import Ratio, ratio
from simplex_lab.verdicts import per_seed

BOTTOM, GIVEN_BACK = "bottom of 4", 1.5  # a remedy is measured against this place, and gives the gain back below this ratio


@functools.cache
def recorded(name: str) -> list[dict]:
    """The rows of ``results/<name>.csv``; none if it is not recorded yet."""
    path = records.RESULTS / f"{name}.csv"
    return records.read(path) if path.exists() else []


def places(rows: Iterable[Mapping]) -> dict[str, dict[str, list[float]]]:
    """``{task: {place: tokens to the target of each seed}}``, both in the order of the plan, complete arms only."""
    rows, found = list(rows), {}
    for task in experiments.PLACED:
        arms = per_seed(rows, task, "tokens to target", experiments.PLACES)
        if complete := {arm: seeds for arm, seeds in arms.items() if len(seeds) == len(experiments.SEEDS)}:
            found[task] = complete
    return found


def remedies(rows: Iterable[Mapping]) -> dict[str, dict[str, list[float]]]:
    """``{task: {remedy: tokens to the target of each seed}}`` at the rate with the lowest median; complete rates only."""
    runs: dict[tuple, dict[int, float]] = {}
    for row in rows:
        c = row["config"]
        if row["metric"] == "tokens to target":
            runs.setdefault((c["task"], c["arm"], c["lr"]), {})[row["seed"]] = row["value"]
        elif row["metric"] == "diverged":
            runs.setdefault((c["task"], c["arm"], c["lr"]), {})[row["seed"]] = inf
    found: dict[str, dict[str, list[float]]] = {}
    for task in dict.fromkeys(task for task, _, _ in runs):
        for remedy in experiments.REMEDIES:
            at = [seeds for (t, arm, _), seeds in runs.items() if (t, arm) == (task, remedy) and len(seeds) == len(experiments.SEEDS)]
            if at:
                best = min(at, key=lambda seeds: median(seeds.values()))
                found.setdefault(task, {})[remedy] = [best[s] for s in sorted(best)]
    return found


def given_back(
    remedied: Mapping[str, Mapping[str, list[float]]], large: Mapping[str, Mapping], small: Mapping[str, Mapping]
) -> dict[str, dict[str, Ratio]]:
    """Tokens with each remedy, on top of three layers, over those at the bottom of four with the same embedding, large or small."""
    found: dict[str, dict[str, Ratio]] = {}
    for task, by_remedy in remedied.items():
        for remedy, tokens in by_remedy.items():
            bottoms = small if experiments.REMEDIES[remedy].get("embedding", experiments.SMALL_EMBEDDING) != 1 else large
            if BOTTOM in bottoms.get(task, {}):
                found.setdefault(task, {})[remedy] = ratio(tokens, bottoms[task][BOTTOM])
    return found


def as_text(found: Mapping[str, Mapping[str, Ratio]]) -> str:
    """The remedies in fixed-width letters: for each task the ratio with its interval, and whether it gives the gain back."""
    lines = []
    for task, by_remedy in found.items():
        lines.append(task)
        for remedy, r in by_remedy.items():
            between = f"{r.low:.2f} to {r.high:.2f}"
            lines.append(f"  {remedy:40s} {r.value:6.2f}  {between:14s} {'gives it back' if r.low < GIVEN_BACK else ''}".rstrip())
    return "\n".join(lines)
