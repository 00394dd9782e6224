"""A grid of runs, each in a process of its own or many in one as a fleet: what is finished is never run twice, what was stopped goes on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

from simplex_lab import records
from simplex_lab.efficiency import tokens_to
from simplex_lab.model import parameter_count
from simplex_lab.train import History, TrainConfig, train


@dataclass(frozen=True)
class Cell:
    """One run of a grid; ``about`` is what a record calls it, for example ``{"task": "Match3", "arm": "dot product, 2 layers"}``."""

    about: tuple[tuple[str, object], ...]
    config: TrainConfig

    @classmethod
    def of(cls, config: TrainConfig, **about) -> Cell:
        return cls(tuple(sorted(about.items())), config)

    def as_dict(self) -> dict:
        return {"about": dict(self.about), "config": self.config.as_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping) -> Cell:
        return cls.of(TrainConfig.from_dict(plain["config"]), **plain["about"])

    @property
    def key(self) -> str:
        """A name for its files and its rows: the same cell has the same name, another one another.

        What a config leaves at its default does not enter: an option added later renames nothing.
        """
        c = self.config
        what = [dict(self.about), _changed(c), _changed(c.model), type(c.task).__name__, _changed(c.task)]
        return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _changed(config) -> dict:
    plain = {f.name: (getattr(config, f.name), f.default) for f in fields(config) if f.name not in ("model", "task")}
    return {name: value for name, (value, default) in plain.items() if value != default}


def run(
    cells: Iterable[Cell],
    folder: str | Path,
    *,
    devices: Sequence[str] = ("cpu",),
    jobs: int = 1,
    at_once: int = 1,
    recorded: Collection[str] = (),
    minutes: float = math.inf,
    start: Callable[[Path, str], int] | None = None,
    say: Callable[[str], None] = print,
) -> list[Cell]:
    """Run what is neither finished nor ``recorded`` (keys of cells), ``jobs`` processes at a time on each device; the cells that failed.

    A process trains one cell, or up to ``at_once`` that differ in seed and rate only, as a fleet. After ``minutes`` no process is started.
    ``start(path, device)`` runs :func:`job` somewhere, waits for it and gives its exit code; by default in a process of this machine.
    ``folder`` holds for each process what it is, ``KEY.json``, and its output, for a single cell its checkpoint ``KEY.pt``, and for each
    finished cell its history, ``KEY.done.json``. Start the same sweep again after an interruption: finished cells are left alone, single
    ones go on from their checkpoints, and fleets begin anew. The history of a run that diverged in a fleet says so.
    """
    folder, cells, end = Path(folder), list(cells), time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    todo = [cell for cell in cells if cell.key not in recorded and not _done(folder, cell).exists()]
    say(f"{len(cells)} cells, {len(cells) - len(todo)} of them finished")
    free: SimpleQueue[str] = SimpleQueue()
    for _ in range(jobs):
        for device in devices:
            free.put(device)
    stopped = False

    def one(group: list[Cell]) -> None:
        nonlocal stopped
        if stopped or time.monotonic() > end:
            return
        device, path, began = free.get(), folder / f"{group[0].key}.json", time.monotonic()
        try:
            path.write_text(json.dumps([cell.as_dict() for cell in group], indent=1), encoding="utf-8")
            code = (start or _process)(path, device)
        except BaseException:
            stopped = True
            raise
        finally:
            free.put(device)
        about = ", ".join(str(value) for _, value in group[0].about)
        about += f", {len(group)} runs" if len(group) > 1 else f", seed {group[0].config.seed}, lr {group[0].config.lr:g}"
        say(f"{'done  ' if code == 0 else 'FAILED'} {about}: {time.monotonic() - began:.0f} s on {device}")

    with ThreadPoolExecutor(jobs * len(devices)) as pool:
        try:
            list(pool.map(one, _groups(todo, at_once)))
        except KeyboardInterrupt:
            stopped = True
            raise
    if time.monotonic() > end:
        return []  # what is not finished was not tried
    return [cell for cell in todo if not _done(folder, cell).exists()]


def _process(path: Path, device: str) -> int:
    with path.with_suffix(".log").open("a", encoding="utf-8") as log:
        return subprocess.run([sys.executable, "-m", "simplex_lab.sweep", str(path), device], stdout=log, stderr=log).returncode


def devices_of(device: str) -> tuple[tuple[str, ...], int]:
    """The devices that ``"cpu"`` or ``"cuda"`` names, and how many runs share a process there.

    Raises:
        RuntimeError: there is no GPU.
    """
    import torch

    if device != "cuda":
        return (device,), 1
    if not torch.cuda.is_available():
        raise RuntimeError("device='cuda': there is no CUDA device here")
    return tuple(f"cuda:{n}" for n in range(torch.cuda.device_count())), 20


def _groups(cells: Iterable[Cell], at_once: int) -> list[list[Cell]]:
    """Cells that may share a fleet, at most ``at_once`` together, in the order of the first of each."""
    alike: dict[TrainConfig, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(replace(cell.config, seed=0, lr=1.0), []).append(cell)
    return [group[n : n + at_once] for group in alike.values() for n in range(0, len(group), at_once)]


def _done(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell.key}.done.json"


def _finish(path: Path, cell: Cell, history: History, together: int) -> None:
    curve = {name: getattr(history, name) for name in ("tokens", "accuracy", "loss", "held_out_loss", "seconds")}
    source = records.provenance(os.environ.get("SIMPLEX_LAB_COMMAND", "simplex-lab sweep"))
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"cell": cell.as_dict(), "source": source, "together": together} | curve), encoding="utf-8")
    partial.replace(path)


def finished(folder: str | Path) -> Iterator[tuple[Cell, dict]]:
    """Every finished cell of a folder with its history, in the order of the keys."""
    for path in sorted(Path(folder).glob("*.done.json")):
        done = json.loads(path.read_text(encoding="utf-8"))
        yield Cell.from_dict(done["cell"]), done


def rows(name: str, folder: str | Path, *, target: float, every: Callable[[Cell], int] = lambda cell: 1) -> list[dict[str, str]]:
    """Records of all finished cells: tokens to the accuracy ``target``, how the run ended, its seconds; provenance is that of each process.

    Of the evaluations along the tokens each ``every(cell)``-th is recorded, too, and the last; with 0 none. A run that diverged has a
    row that says after how many tokens, and is said to have ended nowhere. The seconds of a run in a fleet are its share of the fleet's.
    """
    found = []
    for cell, done in finished(folder):
        c, source = cell.config, done["source"]
        sizes = {"lr": c.lr, "steps": c.steps, "batch": c.batch, "parameters": parameter_count(c.model)}
        about = dict(cell.about) | sizes | {"cell": cell.key}

        def add(metric: str, value: float, unit: str, seed=c.seed, source=source, about=about, **at) -> None:
            found.append(records.row(name, about | at, seed, metric, value, unit, source))

        curve = list(zip(done["tokens"], done["accuracy"], done["held_out_loss"], strict=True))
        good = [point for point in curve if not math.isnan(point[2])]
        for n, (tokens, right, missed) in enumerate(good, 1):
            if every(cell) and (n % every(cell) == 0 or n == len(curve)):
                add("accuracy", right, "1", tokens=tokens)
                add("held-out loss", missed, "nats", tokens=tokens)
        if len(good) < len(curve):
            add("diverged", curve[len(good)][0], "tokens")
        else:
            add("tokens to target", tokens_to(target, done["tokens"], done["accuracy"]), "tokens")
            add("final accuracy", done["accuracy"][-1], "1")
            add("final held-out loss", done["held_out_loss"][-1], "nats")
        add("training time", done["seconds"], "s", together=done["together"])
    return found


def job(path: Path, device: str) -> None:
    """What a process of a sweep does: train the cells that ``path`` lists, and leave their histories beside it."""
    import torch

    from simplex_lab.fleet import train_fleet

    torch.set_num_threads(1)
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)  # graphs are recorded on the current one
    cells = [Cell.from_dict(plain) for plain in json.loads(path.read_text(encoding="utf-8"))]
    if len(cells) == 1:
        histories = [train(cells[0].config, keep=path.with_suffix(".pt"), device=device)]
    else:
        histories = train_fleet([cell.config for cell in cells], device=device)
    for cell, history in zip(cells, histories, strict=True):
        _finish(_done(path.parent, cell), cell, history, len(cells))
    path.with_suffix(".pt").unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        job(Path(sys.argv[1]), sys.argv[2])
    except FloatingPointError as error:
        sys.exit(str(error))
