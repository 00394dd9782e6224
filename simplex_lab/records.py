"""Recorded measurements: one CSV schema, with the provenance of every number in its own row."""

from __future__ import annotations

import csv
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COLUMNS = (
    "name",  # what was measured, for example "chapter00"
    "config",  # everything that decides the result, as JSON with sorted keys
    "seed",
    "metric",
    "value",
    "unit",
    "p20",  # spread of repeated measurements; empty where seeds are rows of their own
    "p80",
    "device",
    "driver",
    "torch",
    "triton",
    "commit",
    "date",
    "command",  # reproduces the row
)

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"


def provenance(command: str) -> dict[str, str]:
    """The columns that say where a number comes from: device, driver, versions, project commit, date and command."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else f"CPU {_cpu_name()}, {torch.get_num_threads()} threads",
        "driver": _output("nvidia-smi", "--id=0", "--query-gpu=driver_version", "--format=csv,noheader") if cuda else "",
        "torch": torch.__version__,
        "triton": _version("triton"),
        "commit": project_commit(),
        "date": datetime.date.today().isoformat(),
        "command": command,
    }


def row(name: str, config: Mapping, seed: int, metric: str, value: float, unit: str, source: Mapping, p20="", p80="") -> dict[str, str]:
    """One measurement; ``source`` comes from :func:`provenance`."""
    text = json.dumps(dict(config), sort_keys=True, separators=(",", ":"))
    return dict(source, name=name, config=text, seed=str(seed), metric=metric, value=f"{value:.6g}", unit=unit, p20=str(p20), p80=str(p80))


def write(path: str | Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Write ``rows`` in the schema; a row with other columns is an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for r in rows:
                if set(r) != set(COLUMNS):
                    raise ValueError(f"{path.name}: columns {sorted(r)}, expected {sorted(COLUMNS)}")
                writer.writerow(r)
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def append(path: str | Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Write ``rows`` behind those that ``path`` holds already."""
    old: list[Mapping[str, str]] = []
    if Path(path).exists():
        read(path)  # refuses a file of another schema
        with Path(path).open(newline="", encoding="utf-8") as f:
            old = list(csv.DictReader(f))
    return write(path, [*old, *rows])


def read(path: str | Path) -> list[dict]:
    """Rows of a record, ``config`` parsed, ``value`` and ``seed`` as numbers. A bare name is looked up in ``results/``.

    Raises:
        ValueError: the columns are not those of the schema.
    """
    path = Path(path)
    path = RESULTS / path if path.parent == Path() and not path.exists() else path
    with path.open(newline="", encoding="utf-8") as f:
        reader = csv.DictReader(f)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path.name}: columns {reader.fieldnames}, expected {list(COLUMNS)}")
        return [dict(r, config=json.loads(r["config"]), seed=int(r["seed"]), value=float(r["value"])) for r in reader]


def published(name: str, metric: str, **config) -> float:
    """The one number of ``published.csv`` with this name, metric and config.

    Raises:
        KeyError: there is none, or more than one.
    """
    found = [r["value"] for r in read("published.csv") if (r["name"], r["metric"], r["config"]) == (name, metric, config)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} numbers are published as {name!r}, {metric!r}, {config}")
    return found[0]


def final(rows: Iterable[Mapping], metric: str, **config) -> list[float]:
    """The last value of ``metric`` for each seed, among the rows whose config holds all of ``config``, in the order of the seeds."""
    last: dict[int, tuple[int, float]] = {}
    for r in rows:
        if r["metric"] == metric and config.items() <= r["config"].items():
            tokens = r["config"].get("tokens", 0)
            if tokens >= last.get(r["seed"], (0, 0.0))[0]:
                last[r["seed"]] = (tokens, r["value"])
    return [last[seed][1] for seed in sorted(last)]


def project_commit() -> str:
    """Short hash of the project's commit, with ``+`` when tracked files have changed since; empty outside a checkout.

    For a copy of the files without their history (a GPU machine, say), the environment variable ``SIMPLEX_LAB_COMMIT`` names the commit.
    """
    if named := os.environ.get("SIMPLEX_LAB_COMMIT"):
        return named
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", "simplex_lab", "kernels")
    return commit + ("+" if commit and changed else "")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
