"""Copy an exercise to ``work/``, where no pull and no rebuild can touch it."""

from __future__ import annotations

import shutil
from pathlib import Path

from simplex_lab.checks.progress import home

ROOT = Path(__file__).resolve().parent.parent


class StartError(Exception):
    """The exercise cannot be copied; the message says why and what to do."""


def start(chapter: str, *, reset: bool = False, source: Path | None = None) -> tuple[Path, str]:
    """Copy ``exercises/NN_*.ipynb`` to the work folder and return its path with a sentence about what was done.

    An existing copy is never overwritten: without ``reset`` it is left as it is, with ``reset`` it is kept as ``NN_topic.backup-1.ipynb``.

    Raises:
        StartError: there is no such exercise.
    """
    folder = source or ROOT / "exercises"
    number = chapter.split("_")[0].zfill(2)
    found = sorted(folder.glob(f"{number}_*.ipynb")) if number.isdigit() else []
    if not found:
        known = ", ".join(sorted(p.stem.split("_")[0] for p in folder.glob("*.ipynb"))) or "none"
        raise StartError(f"There is no exercise {chapter!r}. There are: {known}.")
    target = home() / found[0].name
    target.parent.mkdir(parents=True, exist_ok=True)
    said = "A fresh copy"
    if target.exists():
        if not reset:
            return target, "Your copy is there already and was left as it is (--reset begins anew and keeps a backup)"
        backup = next_backup(target)
        target.rename(backup)
        said = f"A fresh copy; your old one is kept as {backup.name}"
    shutil.copyfile(found[0], target)
    return target, said


def next_backup(path: Path) -> Path:
    """The first ``name.backup-N.ipynb`` that is free."""
    n = 1
    while (backup := path.with_name(f"{path.stem}.backup-{n}{path.suffix}")).exists():
        n += 1
    return backup
