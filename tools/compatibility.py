"""What was run on which versions: ``python -m tools.compatibility [--row NAME] [--page | --check]``.

Runs a fixed set of steps in the environment of the Python that runs this, adds what came of them to results/compatibility.csv, and
writes COMPATIBILITY.md from that record and from those of the GPUs. A row of the page without a record says so.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from simplex_lab import records

ROOT = Path(__file__).resolve().parent.parent
RECORD, PAGE = ROOT / "results" / "compatibility.csv", ROOT / "COMPATIBILITY.md"
PACKAGES = ("torch", "triton", "numpy", "jupyterlab")

IMPORTS = ("torch", "triton", "numpy", "jupyterlab", "ipywidgets", "matplotlib", "simplex_lab.reference", "simplex_kernels")
UNIT_TESTS = ("reference", "tiled", "interpreter", "kernels", "tracer", "forward_steps", "checks", "model_and_train")
CHAPTERS = ("03_trilinear_attention", "07_triton_in_an_hour")
NEED_TRITON = {"triton", "simplex_kernels", "interpreter", "kernels", "tracer", "forward_steps", "07_triton_in_an_hour"}  # Linux only
STEPS = ("imports", "unit tests", "chapters")
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
NBVAL = ("-W", "default", "-p", "tools.nbval_env", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "240")
SECONDS = 1800  # for one step

LOCK, OLDEST, TRITON, ALL = "the lock", "oldest of the ranges", "newest triton", "newest torch, triton, numpy, jupyterlab"
NAMES = (LOCK, OLDEST, TRITON, ALL)
PLANNED = (  # name, Python, system
    (LOCK, "3.11", "Linux"),
    (LOCK, "3.12", "Linux"),
    (OLDEST, "3.11", "Linux"),
    (TRITON, "3.12", "Linux"),
    (ALL, "3.12", "Linux"),
    (LOCK, "3.11", "Darwin"),
    (LOCK, "3.11", "Windows"),
)
NOT_RUN = "not run"


class Outcome(NamedTuple):
    """What came of one step."""

    passed: int
    failed: int

    def __str__(self) -> str:
        return f"{self.passed} passed" + (f", **{self.failed} failed**" if self.failed else "")


# Running


def outcome(step: str, system: str = sys.platform) -> Outcome:
    """Run one of the steps; elsewhere than on Linux without what needs Triton."""
    here = {name: system == "linux" or name not in NEED_TRITON for name in IMPORTS + UNIT_TESTS + CHAPTERS}
    if step == "imports":
        return imports([name for name in IMPORTS if here[name]])
    if step == "unit tests":
        return tests(
            [*PYTEST, "-m", "not gpu and not slow and not browser", *(f"tests/test_{name}.py" for name in UNIT_TESTS if here[name])]
        )
    return tests([*PYTEST, *NBVAL, *(f"chapters/{name}.ipynb" for name in CHAPTERS if here[name])])


def imports(names: list[str]) -> Outcome:
    """Each package in a process of its own, since a broken one can end it."""
    failed = 0
    for name in names:
        done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, env=surroundings(), capture_output=True, text=True)
        if done.returncode:
            failed += 1
            print(f"import {name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", flush=True)
    return Outcome(len(names) - failed, failed)


def tests(arguments: Iterable[str]) -> Outcome:
    """What pytest counted. Without a report of its own, for example after a crash or too long a time, one failure."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        try:
            done = subprocess.run([sys.executable, *arguments, f"--junitxml={report}"], cwd=ROOT, env=surroundings(), timeout=SECONDS)
            found = counted(report.read_text(encoding="utf-8"))
        except (subprocess.TimeoutExpired, OSError, ElementTree.ParseError):
            return Outcome(0, 1)
    return found if done.returncode == 0 or found.failed else found._replace(failed=1)


def counted(report: str) -> Outcome:
    """The numbers of a JUnit report; what was skipped counts for neither side."""
    suites = list(ElementTree.fromstring(report).iter("testsuite"))
    total, failed, errors, skipped = (sum(int(s.get(k, 0)) for s in suites) for k in ("tests", "failures", "errors", "skipped"))
    return Outcome(total - failed - errors - skipped, failed + errors)


def surroundings() -> dict[str, str]:
    """The course of this folder first, also where another copy is installed."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"} | {"PYTHONPATH": path}


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def environment(row: str) -> dict[str, str]:
    """What a row is about, beside what every record says."""
    found = {"row": row, "python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    return found | {name: installed(name) for name in PACKAGES}


def provenance(command: str) -> dict[str, str]:
    """As for every record, but also where torch cannot be imported: that is an outcome here."""
    try:
        return records.provenance(command)
    except Exception:
        known = {"device": "CPU", "torch": installed("torch") or "none", "triton": installed("triton"), "commit": records.project_commit()}
        return known | {"driver": "", "date": datetime.date.today().isoformat(), "command": command}


def run(row: str) -> tuple[list[dict[str, str]], bool]:
    """All steps, one after the other; their rows, and whether everything passed."""
    source, rows, good = provenance(f"python -m tools.compatibility --row '{row}'"), [], True
    for step in STEPS:
        print(f"{step} ...", flush=True)
        came = outcome(step)
        print(f"{step}: {came}", flush=True)
        good = good and not came.failed
        about = environment(row) | {"step": step}
        rows += [records.row("compatibility", about, 0, name, value, "1", source) for name, value in came._asdict().items()]
    return rows, good


def why_not(row: str, found: Mapping[str, str], root: Path = ROOT) -> str | None:
    """Why these versions must not be recorded under this name, or None."""
    plain = {name: found[name].partition("+")[0] for name in PACKAGES if name != "triton" or found["platform"].startswith("Linux")}
    if row == LOCK:
        other = [f"{name} {here or 'none'}, not {locked(root)[name]}" for name, here in plain.items() if here != locked(root)[name]]
    elif row == OLDEST:
        oldest = {name: low for name, (low, _) in ranges(root).items() if name in plain}
        other = [
            f"{name} {plain[name] or 'none'}, not {low}" for name, low in oldest.items() if not f"{plain[name]}.".startswith(f"{low}.")
        ]
    else:
        other = []
    return f"not {row}: {'; '.join(other)}" if other else None


def locked(root: Path = ROOT) -> dict[str, str]:
    """The lock's versions of the four packages."""
    text = (root / "requirements.lock").read_text(encoding="utf-8")
    return {name: re.search(rf"^{name}==([^\s;]+)", text, re.M)[1] for name in PACKAGES}


def ranges(root: Path = ROOT) -> dict[str, tuple[str, str]]:
    """``{package: (oldest, whole range)}`` of torch and triton, from pyproject.toml."""
    lines = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    found = (re.match(r"(torch|triton)(>=([\d.]+)[^;]*)", line) for line in lines)
    return {m[1]: (m[3], m[2].strip()) for m in found if m}


# The page


TEXT = """\
# What was run on which versions

Made by `python -m tools.compatibility` from `results/compatibility.csv` and from the records that the second table names. Nothing here is
typed by hand. *{not_run}* means that nobody recorded a run: it may work. Allowed (`pyproject.toml`): {allowed}. The lock
(`requirements.lock`): {lock}.

## What one command runs

{cpu}

- *imports*: {imports} packages.
- *unit tests*: {unit_tests}. The kernels run in Triton's interpreter.
- *chapters*: the code cells of {chapters}. Each must run; what it prints is not compared.

Elsewhere than on Linux what needs Triton is left out. The weekly job (`.github/workflows/newest.yml`) makes the two rows called newest and
shows them in its summary. They stand here once somebody commits them.

## On GPUs

{gpu}

These rows follow from the records themselves, which do not name the Python. A kernel's speed is recorded only behind a comparison with the
reference in the same run.
"""


def page(record: Path = RECORD, root: Path = ROOT) -> str:
    """COMPATIBILITY.md as it should be."""
    pins = locked(root)
    return TEXT.format(
        not_run=NOT_RUN,
        allowed=", ".join(f"{name} {whole}" for name, (_, whole) in ranges(root).items()),
        lock=", ".join(f"{name} {pin}" for name, pin in pins.items()),
        cpu=table(("versions", "Python", *PACKAGES, "on", *STEPS, "recorded"), cpu_rows(record, root)),
        imports=len(IMPORTS),
        unit_tests=", ".join(f"`test_{name}`" for name in UNIT_TESTS),
        chapters=" and ".join(f"`{name}`" for name in CHAPTERS),
        gpu=table(("GPU", "driver", "torch", "triton", "ran", "recorded", "record"), gpu_rows(root / "results", pins)),
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *map(list, rows)])


def runs(record: Path) -> list[dict[str, dict]]:
    """``{step: {"passed": row, "failed": row}}`` for each run, in the order of the record."""
    found: list[dict] = []
    if record.exists():
        for r in records.read(record):
            step = r["config"]["step"]
            if step == STEPS[0] and r["metric"] == "passed":
                found.append({})
            found[-1].setdefault(step, {})[r["metric"]] = r
    return found


def cpu_rows(record: Path, root: Path = ROOT) -> list[list[str]]:
    """The planned rows, each with its last run, then runs that nobody planned."""
    last: dict[tuple[str, str, str], list[str]] = {}
    for steps in runs(record):
        first = steps[STEPS[0]]["passed"]
        about = first["config"]
        name = about["row"] + (f" of {first['date']}" if why_not(about["row"], about, root) else "")
        system, gpu = about["platform"], not first["device"].startswith("CPU")
        key = (name, ".".join(about["python"].split(".")[:2]), system.split()[0] + (f", {first['device']}" if gpu else ""))
        outcomes = [str(Outcome(*(int(steps[s][m]["value"]) for m in Outcome._fields))) if s in steps else NOT_RUN for s in STEPS]
        on = system + (f", {first['device']}" if gpu else "")
        versions = [about[package] or "none" for package in PACKAGES]
        last[key] = [name, about["python"], *versions, on, *outcomes, f"{first['date']}, {first['commit']}"]
    known = {LOCK: locked(root), OLDEST: {name: low for name, (low, _) in ranges(root).items()}}
    rows = []
    for name, python, system in PLANNED:
        versions = [known.get(name, {}).get(package, "") for package in PACKAGES]
        missing = [name, python, *versions, system.replace("Darwin", "macOS"), *[NOT_RUN] * len(STEPS), ""]
        rows.append(last.pop((name, python, system), missing))
    return rows + list(last.values())


def gpu_rows(results: Path, pins: Mapping[str, str]) -> list[list[str]]:
    """One row for each GPU, driver, torch and triton that a record names, then the lock if none has it."""
    found: dict[tuple[str, ...], dict] = {}
    for path in sorted(results.glob("*.csv")):
        for r in records.read(path) if path.name not in ("published.csv", "compatibility.csv") else ():
            if r["device"].startswith("NVIDIA"):
                kind = "kernels against the reference, timed" if r["name"] == "kernel_bench" else "training runs"
                key = (r["device"], r["driver"], r["torch"], r["triton"], kind)
                seen = found.setdefault(key, {"dates": set(), "files": set()})
                seen["dates"].add(r["date"])
                seen["files"].add(f"`results/{path.name}`")
    rows = []
    for key, seen in sorted(found.items()):
        first, last = min(seen["dates"]), max(seen["dates"])
        rows.append([*key, first if first == last else f"{first} to {last}", ", ".join(sorted(seen["files"]))])
    if not any((key[2].partition("+")[0], key[3]) == (pins["torch"], pins["triton"]) for key in found):
        rows.append(["any", "", pins["torch"], pins["triton"], NOT_RUN, "", ""])
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", choices=NAMES, default=LOCK, help="what this environment is (%(default)s)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--page", action="store_true", help="run nothing, write COMPATIBILITY.md")
    what.add_argument("--check", action="store_true", help="run and write nothing; fail if COMPATIBILITY.md is not as the records say")
    args = parser.parse_args(argv)
    good = True
    if args.check:
        good = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        print("COMPATIBILITY.md is as the records say" if good else "COMPATIBILITY.md is stale: run python -m tools.compatibility --page")
        return 0 if good else 1
    if not args.page:
        if reason := why_not(args.row, environment(args.row)):
            raise SystemExit(f"this environment is {reason}")
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the record names the threads
        rows, good = run(args.row)
        records.append(RECORD, rows)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: written")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
