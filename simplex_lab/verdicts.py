"""What the recorded runs say about token efficiency: for each task a ratio of tokens with its interval, its costs, and a word."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf, isnan, nan
from statistics import median

from simplex_lab import experiments, records
from simplex_lab.efficiency import Ratio, ratio, tokens_to
from simplex_lab.model import flops_per_token

Curve = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Verdict:
    """One line of the table: ``ours`` is the 2-simplicial arm, ``theirs`` the dot-product arm, both chosen on seeds of their own.

    Where dot-product arms tied there, ``theirs`` is the one that needs the fewest tokens here: luck then counts for them.

    ``tokens`` is ours over theirs until the target; ``flops`` and ``seconds`` are the same ratio with a token at its price. ``seconds`` is
    NaN where the two were not timed alike. ``ends`` are the median values at the end of the runs: accuracies, for code held-out losses.
    """

    task: str
    ours: str
    theirs: str
    tokens: Ratio
    flops: float
    seconds: float
    ends: tuple[float, float]

    @property
    def word(self) -> str:
        """``wins``, ``ties`` or ``loses``; ``neither`` where neither arm gets there."""
        return "neither" if self.tokens.value != self.tokens.value else self.tokens.verdict()


@functools.cache
def recorded() -> tuple[list[dict], list[dict], list[dict]]:
    """The rows of ``choosing.csv``, ``efficiency.csv`` and ``fine.csv``; none where a file is not recorded yet."""
    files = (records.RESULTS / f"{name}.csv" for name in ("choosing", "efficiency", "fine"))
    return tuple(records.read(path) if path.exists() else [] for path in files)


def curves(rows: Iterable[Mapping], task: str, metric: str = "accuracy") -> dict[str, dict[int, Curve]]:
    """``{arm: {seed: (tokens, values)}}`` of the recorded evaluations, arms in the order of the plan."""
    found: dict[str, dict[int, dict[int, float]]] = {arm: {} for arm in experiments.ARMS}
    for row in rows:
        if row["config"]["task"] == task and row["metric"] == metric:
            found[row["config"]["arm"]].setdefault(row["seed"], {})[row["config"]["tokens"]] = row["value"]
    ordered = ((arm, sorted(seeds.items())) for arm, seeds in found.items() if seeds)
    return {arm: {seed: (sorted(at), [at[t] for t in sorted(at)]) for seed, at in seeds} for arm, seeds in ordered}


def per_seed(rows: Iterable[Mapping], task: str, metric: str, arms: Iterable[str] = experiments.ARMS) -> dict[str, list[float]]:
    """``{arm: values}`` of a metric that each run has once, in the order of the seeds."""
    found: dict[str, dict[int, float]] = {arm: {} for arm in arms}
    for row in rows:
        if row["config"]["task"] == task and row["metric"] == metric:
            found[row["config"]["arm"]][row["seed"]] = row["value"]
    return {arm: [seeds[s] for s in sorted(seeds)] for arm, seeds in found.items() if seeds}


def needed(rows: list[Mapping], task: str, theirs: str) -> dict[str, list[float]]:
    """``{arm: tokens to the target of each seed}``; for code the target is the median loss that ``theirs`` ends with."""
    if experiments.TASKS[task].family != "code":
        return per_seed(rows, task, "tokens to target")
    ends = per_seed(rows, task, "final held-out loss")
    target = median(ends[theirs])
    by_arm = curves(rows, task, "held-out loss")
    return {arm: [tokens_to(target, *curve, rising=False) for curve in seeds.values()] for arm, seeds in by_arm.items()}


def verdict(task: str, choosing: list[Mapping], rows: list[Mapping], fine: list[Mapping] = ()) -> Verdict | None:
    """The line of a task, from ``fine`` runs where they are complete; None while one of its arms lacks a seed."""
    standing = experiments.standing(choosing)
    return compared(task, *standing[task], rows, fine) if task in standing else None


def of_the_task(task: str, choosing: list[Mapping], rows: list[Mapping], fine: list[Mapping] = ()) -> Verdict | None:
    """The control of ``task`` with the very arms of the task's own ratio: is their difference the triples' doing?"""
    v, control = verdict(task, choosing, rows, fine), experiments.TASKS[task].control
    return compared(control, v.ours, (v.theirs,), rows, fine) if v and control else None


def compared(task: str, ours: str, theirs: tuple[str, ...], rows: list[Mapping], fine: list[Mapping] = ()) -> Verdict | None:
    """Two arms on a task, ``theirs`` the best of several."""
    arms = (ours, *theirs)
    metric = "final held-out loss" if experiments.TASKS[task].family == "code" else "final accuracy"
    complete = []
    for runs in (fine, rows):
        last = per_seed(runs, task, metric)
        if all(len(last.get(arm, ())) == len(experiments.SEEDS) for arm in arms):
            complete.append((runs, last))
    if not complete:
        return None
    coarse, (rows, last) = rows, complete[0]
    arms = ours, min(theirs, key=lambda arm: median(needed(rows, task, arm)[arm]))
    tokens = needed(rows, task, arms[1])
    price = [flops_per_token(experiments.run(task, experiments.ARMS[arm], 1e-3, 0).model) for arm in arms]
    time = next((t for t in (timed(runs, task, arms) for runs in (coarse, fine)) if t), [nan, nan])
    r = ratio(*(tokens[arm] for arm in arms))
    return Verdict(task, *arms, r, r.value * price[0] / price[1], r.value * time[0] / time[1], tuple(median(last[arm]) for arm in arms))


def timed(rows: Iterable[Mapping], task: str, arms: Sequence[str]) -> list[float] | None:
    """Median seconds of a run of each arm; None unless all were run on one kind of GPU by one version of the code, one fleet at a time.

    Fleets that share a GPU slow each other down, by how much depends on which ones meet. What was recorded before 2026-11-27 does not say
    whether any did.
    """
    runs = [r for r in rows if r["config"]["task"] == task and r["metric"] == "training time" and r["config"]["arm"] in arms]
    if any("--jobs" in r["command"] for r in runs) or len({(r["device"], r["commit"]) for r in runs}) != 1:
        return None
    seconds = per_seed(runs, task, "training time")
    return [median(seconds[arm]) for arm in arms] if len(seconds) == len(set(arms)) else None


def short(arm: str) -> str:
    """An arm of the probes in few words: what all of them share is left out."""
    return arm.removeprefix("2-simplicial ").replace("embedding of ", "").replace("norm of queries and keys", "norm")


def table() -> dict[str, Verdict | None]:
    """A verdict for every task of the plan, None where it is not run yet."""
    return {task: verdict(task, *recorded()) for task in experiments.TASKS}


def as_text(verdicts: Mapping[str, Verdict | None]) -> str:
    """The table in fixed-width letters."""
    lines = [f"{'task':19s} {'tokens':>6s}  {'interval':13s} {'FLOPs':>5s}  {'seconds':>7s}  verdict"]
    for task, v in verdicts.items():
        if v is None:
            lines.append(f"{task:19s} not run yet")
            continue
        high = "inf" if isinf(v.tokens.high) else f"{v.tokens.high:.2f}"
        between = f"{v.tokens.low:.2f} to {high}"
        seconds = "-" if isnan(v.seconds) else f"{v.seconds:.2f}"
        lines.append(f"{task:19s} {v.tokens.value:6.2f}  {between:13s} {v.flops:5.2f}  {seconds:>7s}  {v.word}")
    return "\n".join(lines)
