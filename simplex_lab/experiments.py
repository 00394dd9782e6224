"""The experiments of ``results/plan.md`` as cells of a sweep: which models, on which tasks, with which seeds and rates.

Parameters are equal within one per cent in all arms of a task: the MLPs take up what the attention of an arm costs less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from statistics import median

from simplex_lab import records
from simplex_lab.code_bytes import CodeBytes
from simplex_lab.model import ModelConfig, every, match_parameters, parameter_count
from simplex_lab.sweep import Cell
from simplex_lab.tasks import Composition, FunctionComposition, Match, ModularSum, Task, WindowBits
from simplex_lab.train import TrainConfig

RATES = (5e-4, 1e-3, 2e-3, 4e-3)
CHOOSING, SEEDS = (100, 101, 102), (0, 1, 2, 3, 4)  # rates and arms are chosen on other seeds than those that are reported
TARGET = 0.97  # accuracy


@dataclass(frozen=True)
class Question:
    """A task with its dials, its family, the task that controls it, and the steps of a run."""

    task: Task
    family: str
    control: str | None
    steps: int


TASKS = {
    "Match3": Question(Match(3, n=12, modulus=17), "maths", "Match2", 3000),
    "Match2": Question(Match(2, n=12, modulus=17), "maths", None, 3000),
    "sum of three": Question(ModularSum(16, 11, 3), "maths", "sum of two", 2400),
    "sum of two": Question(ModularSum(16, 11, 2), "maths", None, 2400),
    "parity of five": Question(WindowBits("parity", 16, 5), "logic", "majority of five", 2400),
    "majority of five": Question(WindowBits("majority", 16, 5), "logic", None, 2400),
    "relations": Question(Composition(8, 16, 16), "reasoning", "relations, one hop", 1500),
    "relations, one hop": Question(Composition(8, 16, 16, hops=1), "reasoning", None, 1500),
    "functions": Question(FunctionComposition(8, 8), "reasoning", "functions, one hop", 1500),
    "functions, one hop": Question(FunctionComposition(8, 8, hops=1), "reasoning", None, 1500),
    "code": Question(CodeBytes(256), "code", None, 2400),
}

# Scaling asks a harder Match3, which no size solves at once, at six widths, and code at five
SCALED = {"Match3, modulus 37": Question(Match(3, n=20, modulus=37), "maths", None, 3000)}
SIZES = {"Match3, modulus 37": (32, 48, 64, 96, 128, 192), "code": (64, 128, 192, 256, 384)}
HEAD = 16  # channels of a head at every size
# Windows of 512 pairs in five shapes, and half and double that in the middle one
WINDOWS = ((2, 256), (4, 128), (16, 32), (32, 16), (128, 4), (8, 32), (32, 32))

# Efficiency: dot products at three depths, triples alone, and every 4th layer counted from the bottom
ARMS = {
    "dot product, 1 layer": ("dot",),
    "dot product, 2 layers": ("dot",) * 2,
    "dot product, 4 layers": ("dot",) * 4,
    "2-simplicial, 1 layer": ("simplicial",),
    "2-simplicial, every 4th layer": every(4, 4),
}

# Places: one 2-simplicial layer among four, and every 4th of eight from either end
PLACES = {
    "bottom of 4": every(4, 4),
    "second of 4": every(4, 4, first=1),
    "third of 4": every(4, 4, first=2),
    "top of 4": every(4, 4, first=3),
    "every 4th of 8 from the bottom": every(4, 8),
    "every 4th of 8, last of each four": every(4, 8, first=3),
    "dot product, 4 layers": ("dot",) * 4,
    "dot product, 8 layers": ("dot",) * 8,
}

# What might give back what dot layers beneath take away, tried on "top of 4" with a small embedding
SMALL_EMBEDDING = 0.02
REMEDIES = {
    "as it is": {},
    "embedding of one": {"embedding": 1.0},
    "skip from the embeddings": {"skip": True},
    "norm of queries and keys": {"qk_norm": True},
    "norm of the output": {"output_norm": True},
    "value bias of one": {"v2_bias": 1.0},
    "residuals of a quarter": {"residual": 0.25},
    "residuals of 0.02": {"residual": 0.02},
    "positions of 0.0004": {"position_size": 0.0004},
    "residuals of 0.02, positions of 0.0004": {"residual": 0.02, "position_size": 0.0004},
}


def model(task: Task, layers: tuple[str, ...], **options) -> ModelConfig:
    """A model of the experiments: 128 wide, 4 heads. Byte models are twice as wide, and their 2-simplicial layers have windows."""
    wide = {"width": 256, "w1": 16, "w2": 32, "dot_sees_all": True} if isinstance(task, CodeBytes) else {"width": 128}
    wide = {"heads": 4} | wide | options
    base = ModelConfig(vocabulary=task.vocabulary, length=task.n, layers=layers, classes=task.classes, **wide)
    target = parameter_count(replace(base, layers=every(4, len(layers) if len(layers) > 4 else 4), hidden=2 * base.width))
    return match_parameters(base, target)


def batch(task: Task) -> int:
    return 32 if isinstance(task, CodeBytes) else 256


def run(name: str, layers: tuple[str, ...], lr: float, seed: int, **options) -> TrainConfig:
    """One run on the task ``name``: batches of 256 sequences (code: 32), evaluated every 50 steps, cosine."""
    asked = (TASKS | SCALED)[name]
    code = isinstance(asked.task, CodeBytes)
    return TrainConfig(
        model(asked.task, layers, **options),
        asked.task,
        steps=asked.steps,
        batch=batch(asked.task),
        lr=lr,
        warmup=100,
        seed=seed,
        eval_every=50,
        eval_sequences=256 if code else 1024,
        schedule="cosine",
        precision="bf16",
    )


def choosing(arms: Mapping[str, tuple[str, ...]], tasks=TASKS, **options) -> Iterator[Cell]:
    """Every rate for every arm of every task, on seeds that are reported nowhere."""
    for name in tasks:
        for arm, layers in arms.items():
            for lr in RATES:
                for seed in CHOOSING:
                    yield Cell.of(run(name, layers, lr, seed, **options), experiment="choosing", task=name, arm=arm, **options)


def scores(rows) -> dict[tuple[str, str], dict[float, tuple[float, float]]]:
    """``{(task, arm): {lr: score}}`` from the runs on the choosing seeds; the lower of two scores is better.

    Tokens to the target, in the median; where they are equal, or none got there, how the runs ended: by accuracy, for code and scaling by
    held-out loss. A rate at which a run diverged scores infinity.
    """
    runs: dict[tuple, dict[str, float]] = {}
    for row in rows:
        c = row["config"]
        if c["experiment"] == "choosing":
            runs.setdefault((c["task"], c["arm"], c["lr"], row["seed"]), {})[row["metric"]] = row["value"]
    found: dict[tuple, dict[float, list]] = {}
    for (task, arm, lr, _), ended in runs.items():
        if "tokens to target" in ended:
            by_loss = (TASKS | SCALED)[task].family == "code" or task in SCALED
            last = ended["final held-out loss"] if by_loss else -ended["final accuracy"]
            score = (inf if by_loss else ended["tokens to target"], last)
        else:
            score = inf, inf
        found.setdefault((task, arm), {}).setdefault(lr, []).append(score)

    def middle(scores: list[tuple[float, float]]) -> tuple[float, float]:
        if len(scores) < len(CHOOSING) or (inf, inf) in scores:
            return inf, inf
        return tuple(median(x) for x in zip(*scores, strict=True))

    return {key: {lr: middle(score) for lr, score in by_rate.items()} for key, by_rate in found.items()}


def chosen(rows) -> dict[tuple[str, str], float]:
    """``{(task, arm): lr}``: the recorded rate with the best of the :func:`scores`."""
    return {key: min(by_rate, key=lambda lr: by_rate[lr]) for key, by_rate in scores(rows).items()}


def standing(rows) -> dict[str, tuple[str, tuple[str, ...]]]:
    """``{task: (ours, theirs)}``: the best 2-simplicial arm and the best dot-product arms of each task on the choosing seeds.

    Of 2-simplicial arms that tie the one with fewer layers stands; dot-product arms that tie all stand, and the ratio is taken against the
    best of them.
    """
    best: dict[str, dict[bool, dict[str, tuple]]] = {}
    for (task, arm), by_rate in scores(rows).items():
        best.setdefault(task, {}).setdefault("simplicial" in ARMS[arm], {})[arm] = min(by_rate.values())
    found = {}
    for task, arms in best.items():
        if len(arms) == 2:
            ours, theirs = ([arm for arm in ARMS if by_arm.get(arm) == min(by_arm.values())] for by_arm in (arms[True], arms[False]))
            found[task] = ours[0], tuple(theirs)
    return found


def efficiency(rates: Mapping[tuple[str, str], float], arms: Mapping[str, tuple[str, ...]] = ARMS, **options) -> Iterator[Cell]:
    """Every arm of every task at its own rate, ``{(task, arm): lr}``, on the seeds that are reported."""
    for (name, arm), lr in rates.items():
        for seed in SEEDS:
            yield Cell.of(run(name, arms[arm], lr, seed, **options), experiment="efficiency", task=name, arm=arm, **options)


def fine(rows) -> Iterator[Cell]:
    """The arms of each ratio once more, evaluated every 10 steps instead of every 50: what both learn at once is told apart better.

    A control is run with the arms of its own ratio and with those of the task that it controls.
    """
    rates, stand = chosen(rows), standing(rows)
    arms = {name: {ours: None} | dict.fromkeys(theirs) for name, (ours, theirs) in stand.items()}
    for name, asked in TASKS.items():
        if name in stand and asked.control in stand:
            arms[asked.control] |= arms[name]
    for name in arms:
        for arm in arms[name]:
            for seed in SEEDS:
                config = replace(run(name, ARMS[arm], rates[name, arm], seed), eval_every=10)
                yield Cell.of(config, experiment="fine", task=name, arm=arm)


def remedies(tasks=("Match3", "relations")) -> Iterator[Cell]:
    """The ablation: a 2-simplicial layer on top of three dot layers and a small embedding, with one change at a time, at every rate."""
    for name in tasks:
        for remedy, options in REMEDIES.items():
            for lr in RATES:
                for seed in SEEDS:
                    config = run(name, PLACES["top of 4"], lr, seed, **{"embedding": SMALL_EMBEDDING} | options)
                    yield Cell.of(config, experiment="remedies", task=name, arm=remedy)


def sizes(rates: Mapping[tuple[str, str], float] | None = None, tasks=None) -> Iterator[Cell]:
    """Scaling: both arms at every width; every rate on the choosing seeds, or at ``rates`` on three that are reported."""
    for name in tasks or SIZES:
        depth = 2 if name in SCALED else 4
        for width in SIZES[name]:
            for kind, layers in (("dot product", ("dot",) * depth), ("2-simplicial", every(depth, depth))):
                arm, options = f"{kind}, width {width}", {"width": width, "heads": width // HEAD}
                if rates is None:
                    for lr in RATES:
                        for seed in CHOOSING:
                            yield Cell.of(run(name, layers, lr, seed, **options), experiment="choosing", task=name, arm=arm)
                else:
                    for seed in SEEDS[:3]:
                        yield Cell.of(run(name, layers, rates[name, arm], seed, **options), experiment="sizes", task=name, arm=arm)


def grid(task: str) -> dict[str, dict[int, list[float]]]:
    """``{model: {parameters: final held-out losses of the seeds}}`` of a task's recorded scaling runs; empty if there are none."""
    found: dict[str, dict[int, list[float]]] = {"dot product": {}, "2-simplicial": {}}
    if (records.RESULTS / "sizes.csv").exists():
        for row in records.read("sizes.csv"):
            c = row["config"]
            if c["task"] == task and row["metric"] == "final held-out loss":
                found[c["arm"].split(",")[0]].setdefault(c["parameters"], []).append(row["value"])
    return found


def windows(lr: float) -> Iterator[Cell]:
    """Code with every 4th layer 2-simplicial, under windows of equal and of other areas."""
    for w1, w2 in WINDOWS:
        for seed in SEEDS:
            config = run("code", ARMS["2-simplicial, every 4th layer"], lr, seed, w1=w1, w2=w2)
            yield Cell.of(config, experiment="windows", task="code", arm=f"{w1} x {w2}")


PLACED = ("Match3", "relations", "functions")
EXPERIMENTS = {
    "choosing": lambda tasks: choosing(ARMS, tasks or TASKS),
    "efficiency": lambda tasks: efficiency(_only(chosen(records.read("choosing.csv")), tasks)),
    "fine": lambda tasks: [c for c in fine(records.read("choosing.csv")) if not tasks or dict(c.about)["task"] in tasks],
    "placing": lambda tasks: choosing(PLACES, tasks or PLACED),
    "places": lambda tasks: efficiency(_only(chosen(records.read("placing.csv")), tasks), PLACES),
    "placing_small": lambda tasks: choosing(PLACES, tasks or PLACED, embedding=SMALL_EMBEDDING),
    "places_small": lambda tasks: efficiency(_only(chosen(records.read("placing_small.csv")), tasks), PLACES, embedding=SMALL_EMBEDDING),
    "sizing": lambda tasks: sizes(None, tasks),
    "sizes": lambda tasks: sizes(chosen(records.read("sizing.csv")), tasks),
    "windows": lambda tasks: windows(chosen(records.read("choosing.csv"))["code", "2-simplicial, every 4th layer"]),
    "remedies": lambda tasks: remedies(tasks or ("Match3", "relations")),
}


def cells(experiment: str, tasks: list[str] | None = None) -> list[Cell]:
    """All runs of an experiment; ``efficiency`` and ``places`` take the rates that ``choosing`` and ``placing`` have recorded.

    Raises:
        ValueError: an experiment or a task that the plan does not know.
        FileNotFoundError: the rates are not recorded yet.
    """
    if experiment not in EXPERIMENTS:
        raise ValueError(f"experiment={experiment!r}: choose one of {sorted(EXPERIMENTS)}")
    known = SIZES if experiment in ("sizing", "sizes") else TASKS
    if unknown := set(tasks or ()) - set(known):
        raise ValueError(f"task={sorted(unknown)[0]!r}: choose one of {sorted(known)}")
    return list(EXPERIMENTS[experiment](tasks))


def recorded_every(cell: Cell) -> int:
    """Which share of a run's evaluations is recorded: of the reported ones each third, for code each; of the others how they ended."""
    reported = {"efficiency": 3, "fine": 0}.get(dict(cell.about)["experiment"])
    return 0 if reported is None else 1 if isinstance(cell.config.task, CodeBytes) else reported


def _only(rates: dict[tuple[str, str], float], tasks) -> dict[tuple[str, str], float]:
    return {key: lr for key, lr in rates.items() if not tasks or key[0] in tasks}
