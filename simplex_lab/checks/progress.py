"""What a learner has solved and which hints were used: a small JSON file that survives pulls, rebuilds and damage."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

from simplex_lab.checks.spec import chapters, exercises

ROOT = Path(__file__).resolve().parents[2]


def home() -> Path:
    """``SIMPLEX_LAB_HOME``, else ``work/`` in the project's folder, else a folder in the user's home when installed without one."""
    if where := os.environ.get("SIMPLEX_LAB_HOME"):
        return Path(where)
    return ROOT / "work" if (ROOT / "pyproject.toml").exists() else Path.home() / ".simplex-lab"


def _file() -> Path:
    return home() / "progress.json"


def load() -> dict:
    """The progress so far; a damaged file is put aside, never overwritten."""
    file = _file()
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or not all(isinstance(v, dict) for v in data.values()):
            raise ValueError("not a table of exercises")
        return data
    except FileNotFoundError:
        return {}
    except (ValueError, OSError):
        n = 1
        while (aside := file.with_name(f"progress.damaged-{n}.json")).exists():
            n += 1
        try:
            file.replace(aside)
        except OSError:
            return {}
        print(f"progress.json could not be read: it is kept as {aside.name}, and a new one is begun")
        return {}


def save(data: dict) -> None:
    """Write in one step, so that an interrupted write loses nothing; a read-only folder is no reason to stop a learner."""
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        print(f"progress was not saved: {error.strerror}")


def note(id: str, *, passed: bool, attempted: bool, rung: str, device: str = "CPU") -> None:
    """Remember the outcome of a check, and on which devices it passed. Once passed stays passed."""
    if not attempted and not passed:
        return
    data = load()
    entry = data.setdefault(id, {})
    entry["tries"] = entry.get("tries", 0) + 1
    if passed:
        entry.setdefault("passed", date.today().isoformat())
        entry.pop("rung", None)
        entry["on"] = sorted({*entry.get("on", []), device})
    elif "passed" not in entry:
        entry["rung"] = rung
    save(data)


def hints_used(id: str) -> int:
    return load().get(id, {}).get("hints", 0)


def use_hint(id: str, count: int) -> None:
    data = load()
    data.setdefault(id, {})["hints"] = count
    save(data)


def table() -> str:
    """One line an exercise: id, title, state, tries and hints used."""
    data, out = load(), []
    done = total = 0
    for chapter in chapters():
        for id, e in exercises(chapter).items():
            entry = data.get(id, {})
            state = f"at: {entry['rung']}" if "rung" in entry else "not attempted"
            if "passed" in entry:
                state = f"passed {entry['passed']}" + (" on " + ", ".join(entry["on"]) if "on" in entry else "")
            done, total = done + ("passed" in entry), total + 1
            out.append(f"{id}  {e.title[:46]:46s}  {state:28s}  tries {entry.get('tries', 0):3d}  hints {entry.get('hints', 0)}/3")
    return "\n".join([*out, f"{done} of {total} exercises passed"])
