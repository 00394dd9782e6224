"""A grid of runs, in processes or in fleets: what is finished is never run twice, and what was stopped goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from simplex_lab import records
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
        """A name for its files: the same cell has the same name, another one another."""
        return sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]


def run(cells: Iterable[Cell], folder: str | Path, *, jobs: int = 1, device: str = "cpu", say=print) -> list[Cell]:
    """Run what is not finished yet, ``jobs`` at a time, each in a process of its own; the cells that failed.

    ``folder`` holds three files a cell: ``KEY.json`` what it is, ``KEY.pt`` its checkpoint, ``KEY.done.json`` its history. Start the same
    sweep again after an interruption: finished cells are left alone, and others go on from their checkpoints.
    """
    folder, todo = _unfinished(cells, folder, say)

    def one(cell: Cell) -> bool:
        path = folder / f"{cell.key}.json"
        path.write_text(json.dumps(cell.as_dict(), indent=1), encoding="utf-8")
        command = [sys.executable, "-m", "simplex_lab.sweep", str(path), device]
        with (folder / f"{cell.key}.log").open("a", encoding="utf-8") as log:
            code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
        say(f"{'done  ' if code == 0 else 'FAILED'} {dict(cell.about)} seed {cell.config.seed} lr {cell.config.lr:g}")
        return code == 0

    with ThreadPoolExecutor(jobs) as pool:
        return [cell for cell, fine in zip(todo, pool.map(one, todo), strict=True) if not fine]


def run_fleets(cells: Iterable[Cell], folder: str | Path, *, at_once: int = 16, device: str = "cuda", say=print) -> list[Cell]:
    """The same in this process, with runs that differ in seed and rate only trained ``at_once`` together; the cells that diverged.

    A fleet that is interrupted begins anew; those before it are finished.
    """
    from simplex_lab.fleet import train_fleet

    folder, todo = _unfinished(cells, folder, say)
    groups: dict[TrainConfig, list[Cell]] = {}
    for cell in todo:
        groups.setdefault(replace(cell.config, seed=0, lr=1.0), []).append(cell)
    diverged = []
    for group in groups.values():
        for part in (group[n : n + at_once] for n in range(0, len(group), at_once)):
            histories = train_fleet([cell.config for cell in part], device=device)
            for cell, history in zip(part, histories, strict=True):
                _finish(folder / f"{cell.key}.done.json", cell, history)
                if history.loss[-1] != history.loss[-1]:
                    diverged.append(cell)
            last = sorted(h.accuracy[-1] for h in histories)
            seconds = sum(h.seconds for h in histories)
            say(f"{dict(part[0].about)}: {len(part)} runs in {seconds:.0f} s, accuracy {last[0]:.3f} to {last[-1]:.3f}")
    return diverged


def _unfinished(cells: Iterable[Cell], folder: str | Path, say) -> tuple[Path, list[Cell]]:
    """The folder, made if it was not there, and what is left to do in it."""
    folder, cells = Path(folder), list(cells)
    folder.mkdir(parents=True, exist_ok=True)
    todo = [cell for cell in cells if not (folder / f"{cell.key}.done.json").exists()]
    say(f"{len(cells)} cells, {len(cells) - len(todo)} of them finished")
    return folder, todo


def _finish(path: Path, cell: Cell, history: History) -> None:
    curve = {name: getattr(history, name) for name in ("tokens", "accuracy", "loss", "held_out_loss", "seconds")}
    source = records.provenance(os.environ.get("SIMPLEX_LAB_COMMAND", "simplex-lab sweep"))
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"cell": cell.as_dict(), "source": source} | curve), encoding="utf-8")
    partial.replace(path)


def finished(folder: str | Path) -> Iterator[tuple[Cell, dict]]:
    """Every finished cell of a folder with its history, in the order of the keys."""
    for path in sorted(Path(folder).glob("*.done.json")):
        done = json.loads(path.read_text(encoding="utf-8"))
        yield Cell.from_dict(done["cell"]), done


def rows(name: str, folder: str | Path) -> list[dict[str, str]]:
    """Records of all finished cells: accuracy and held-out loss along the tokens, and the seconds; provenance is that of each process.

    A run that diverged has a row that says after how many tokens, and none behind it.
    """
    found = []
    for cell, done in finished(folder):
        c, source = cell.config, done["source"]
        about = dict(cell.about) | {"lr": c.lr, "steps": c.steps, "batch": c.batch, "parameters": parameter_count(c.model)}
        for tokens, right, missed in zip(done["tokens"], done["accuracy"], done["held_out_loss"], strict=True):
            if missed != missed:
                found.append(records.row(name, about, c.seed, "diverged", tokens, "tokens", source))
                break
            at = about | {"tokens": tokens}
            found.append(records.row(name, at, c.seed, "accuracy", right, "1", source))
            found.append(records.row(name, at, c.seed, "held-out loss", missed, "nats", source))
        found.append(records.row(name, about, c.seed, "training time", done["seconds"], "s", source))
    return found


def _cell(path: Path, device: str) -> None:
    """What a process of a sweep does."""
    import torch

    torch.set_num_threads(1)
    cell = Cell.from_dict(json.loads(path.read_text(encoding="utf-8")))
    history = train(cell.config, keep=path.with_suffix(".pt"), device=device)
    _finish(path.with_suffix(".done.json"), cell, history)
    path.with_suffix(".pt").unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        _cell(Path(sys.argv[1]), sys.argv[2])
    except FloatingPointError as error:
        sys.exit(str(error))
