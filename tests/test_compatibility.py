"""The page of versions is as the records say, and the records come from runs."""

import csv
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from test_environment import PYPROJECT, bootstrap, python_range

from simplex_lab import records
from tools import compatibility
from tools.compatibility import ALL, LOCK, NOT_RUN, OLDEST, TRITON, Outcome

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / ".github/workflows/newest.yml"
PINS = compatibility.locked()
SOURCE = {"device": "CPU", "driver": "", "torch": "2.13.0", "triton": "3.7.1", "commit": "abc1234", "date": "2026-01-01", "command": "x"}


def made_up_run(row=LOCK, python="3.11.7", failed=0, date="2026-01-01", steps=compatibility.STEPS, **versions):
    """The rows that a run would have added."""
    about = {"row": row, "python": python, "platform": "Linux x86_64"} | PINS | versions
    outcome, source = Outcome(10, failed), SOURCE | {"date": date}
    return [
        records.row("compatibility", about | {"step": step}, 0, name, value, "1", source)
        for step in steps
        for name, value in outcome._asdict().items()
    ]


def shown(record):
    """``{(name, Python, system): its cells}`` of the first table."""
    return {(row[0], row[1], row[6]): row for row in compatibility.cpu_rows(record)}


# The page


def test_the_page_is_as_the_records_say():
    assert compatibility.main(["--check"]) == 0


def test_a_result_typed_by_hand_is_found(tmp_path, monkeypatch, capsys):
    spoilt = compatibility.PAGE.read_text(encoding="utf-8").replace(NOT_RUN, "8 passed", 1)
    monkeypatch.setattr(compatibility, "PAGE", tmp_path / "COMPATIBILITY.md")
    compatibility.PAGE.write_text(spoilt, encoding="utf-8")
    assert compatibility.main(["--check"]) == 1
    assert "is stale" in capsys.readouterr().out
    assert compatibility.PAGE.read_text(encoding="utf-8") == spoilt


def test_without_a_record_every_planned_row_says_so(tmp_path):
    rows = compatibility.cpu_rows(tmp_path / "none.csv")
    assert [(row[0], row[1]) for row in rows] == [(name, python) for name, python, _ in compatibility.PLANNED]
    assert all(row[7:] == [NOT_RUN] * 3 + [""] for row in rows)


def test_a_run_fills_its_row_and_no_other(tmp_path):
    record = records.write(tmp_path / "compatibility.csv", made_up_run())
    rows = shown(record)
    assert rows[LOCK, "3.11.7", "Linux x86_64"][7:] == ["10 passed"] * 3 + ["2026-01-01, abc1234"]
    assert sum(NOT_RUN in row for row in rows.values()) == len(compatibility.PLANNED) - 1


def test_the_last_run_counts_and_a_failure_shows(tmp_path):
    record = records.write(tmp_path / "compatibility.csv", [*made_up_run(), *made_up_run(failed=2, date="2026-02-01")])
    assert shown(record)[LOCK, "3.11.7", "Linux x86_64"][7:] == ["10 passed, **2 failed**"] * 3 + ["2026-02-01, abc1234"]


def test_a_step_that_is_not_recorded_was_not_run(tmp_path):
    record = records.write(tmp_path / "compatibility.csv", made_up_run(steps=compatibility.STEPS[:2]))
    assert shown(record)[LOCK, "3.11.7", "Linux x86_64"][7:10] == ["10 passed", "10 passed", NOT_RUN]


def test_a_run_of_an_earlier_lock_is_not_one_of_this_lock(tmp_path):
    record = records.write(tmp_path / "compatibility.csv", made_up_run(numpy="1.26.0"))
    rows = shown(record)
    assert rows[LOCK, "3.11", "Linux"][7:10] == [NOT_RUN] * 3
    assert rows[f"{LOCK} of 2026-01-01", "3.11.7", "Linux x86_64"][4] == "1.26.0"


def test_an_unplanned_run_is_shown(tmp_path):
    record = records.write(tmp_path / "compatibility.csv", made_up_run(python="3.13.1"))
    assert (LOCK, "3.13.1", "Linux x86_64") in shown(record)


def test_rows_of_gpus_name_their_record(tmp_path):
    with (ROOT / "results/kernel_bench.csv").open(newline="", encoding="utf-8") as f:
        bench = [row for row in csv.DictReader(f) if row["device"] == "NVIDIA H200"]
    records.write(tmp_path / "kernel_bench.csv", bench)
    (measured, lock) = compatibility.gpu_rows(tmp_path, PINS)
    assert measured[0] == "NVIDIA H200"
    assert measured[2:4] == [bench[0]["torch"], bench[0]["triton"]]
    assert measured[-1] == "`results/kernel_bench.csv`"
    assert measured[5].startswith(min(row["date"] for row in bench))
    assert lock[:5] == ["any", "", PINS["torch"], PINS["triton"], NOT_RUN]


def test_a_gpu_record_with_the_lock_takes_the_place_of_not_run(tmp_path):
    row = {"device": "NVIDIA H200", "driver": "1", "torch": f"{PINS['torch']}+cu130", "triton": PINS["triton"]}
    records.write(tmp_path / "kernel_bench.csv", [records.row("kernel_bench", {}, 0, "m", 1, "1", SOURCE | row)])
    assert [cells[4] for cells in compatibility.gpu_rows(tmp_path, PINS)] == ["kernels against the reference, timed"]


def test_no_record_of_a_cpu_is_a_gpu_row(tmp_path):
    shutil.copy(ROOT / "results/chapter00.csv", tmp_path)
    shutil.copy(ROOT / "results/published.csv", tmp_path)
    assert [row[0] for row in compatibility.gpu_rows(tmp_path, PINS)] == ["any"]


# What is recorded


def test_every_record_was_made_by_its_command():
    rows = records.read(compatibility.RECORD)
    assert rows
    for row in rows:
        python, *words = shlex.split(row["command"])
        assert (python, words) == ("python", ["-m", "tools.compatibility", "--row", row["config"]["row"]])
        assert row["config"]["row"] in compatibility.NAMES
        assert row["config"]["step"] in compatibility.STEPS
        assert row["metric"] in Outcome._fields
        assert row["value"] == int(row["value"]) >= 0
        assert row["torch"].partition("+")[0] == row["config"]["torch"].partition("+")[0]
    for run in compatibility.runs(compatibility.RECORD):
        assert {step: set(found) for step, found in run.items()} == {step: set(Outcome._fields) for step in compatibility.STEPS}


# Running


@pytest.mark.parametrize(
    ("row", "versions", "said"),
    [
        (LOCK, {}, None),
        (LOCK, {"torch": "2.13.0+cpu"}, None),
        (LOCK, {"numpy": "2.4.5"}, f"not the lock: numpy 2.4.5, not {PINS['numpy']}"),
        (LOCK, {"jupyterlab": ""}, f"not the lock: jupyterlab none, not {PINS['jupyterlab']}"),
        (LOCK, {"triton": ""}, f"not the lock: triton none, not {PINS['triton']}"),
        (LOCK, {"triton": "", "platform": "Darwin arm64"}, None),
        (OLDEST, {"torch": "2.11.1+cpu", "triton": "3.6.0"}, None),
        (OLDEST, {"torch": "2.110.0", "triton": "3.6.0"}, "not oldest of the ranges: torch 2.110.0, not 2.11"),
        (TRITON, {"triton": "9.9"}, None),
        (ALL, {"torch": "9.9"}, None),
    ],
)
def test_a_run_is_recorded_under_a_name_that_its_versions_bear(row, versions, said):
    assert compatibility.why_not(row, {"platform": "Linux x86_64"} | PINS | versions) == said


def test_other_versions_than_the_lock_stop_before_anything_runs(monkeypatch):
    monkeypatch.setattr(compatibility, "installed", lambda name: "0.0")
    monkeypatch.setattr(compatibility, "run", lambda row: pytest.fail("it ran"))
    with pytest.raises(SystemExit, match="this environment is not the lock"):
        compatibility.main([])


def test_counts_are_those_of_the_report():
    suite = '<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="16"/></testsuites>'
    assert compatibility.counted(suite) == Outcome(10, 3)


PASSES, FAILS = "def test_a():\n    pass\n", "def test_a():\n    pass\n\n\ndef test_b():\n    assert 0\n"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (PASSES, Outcome(1, 0)),
        (FAILS, Outcome(1, 1)),
        ("import nothing_of_that_name\n", Outcome(0, 1)),
        ("import os\n\n\ndef test_a():\n    os._exit(0)\n", Outcome(0, 1)),
        ("x = 1\n", Outcome(0, 1)),
    ],
    ids=["passes", "fails", "no import", "crash", "no test"],
)
def test_what_pytest_did_is_what_is_counted(tmp_path, text, outcome):
    (tmp_path / "test_it.py").write_text(text)
    assert compatibility.tests([*compatibility.PYTEST, "--noconftest", f"--rootdir={tmp_path}", str(tmp_path / "test_it.py")]) == outcome


def test_too_long_a_time_is_a_failure(tmp_path, monkeypatch):
    (tmp_path / "test_it.py").write_text("import time\n\n\ndef test_a():\n    time.sleep(60)\n")
    monkeypatch.setattr(compatibility, "SECONDS", 3)
    assert compatibility.tests([*compatibility.PYTEST, f"--rootdir={tmp_path}", str(tmp_path / "test_it.py")]) == Outcome(0, 1)


def test_a_package_that_does_not_import_is_a_failure(capsys):
    assert compatibility.imports(["json", "nothing_of_that_name"]) == Outcome(1, 1)
    assert "import nothing_of_that_name: ModuleNotFoundError" in capsys.readouterr().out


def test_a_run_adds_to_the_record_and_writes_the_page(tmp_path, monkeypatch):
    for name, path in (("RECORD", tmp_path / "compatibility.csv"), ("PAGE", tmp_path / "COMPATIBILITY.md")):
        monkeypatch.setattr(compatibility, name, path)
    monkeypatch.setattr(compatibility, "page", lambda: "the page\n")
    monkeypatch.setattr(compatibility, "outcome", lambda step: Outcome(5, int(step == "chapters")))
    for times in (1, 2):
        assert compatibility.main(["--row", TRITON]) == 1
        assert len(records.read(compatibility.RECORD)) == 6 * times
    (_, run) = compatibility.runs(compatibility.RECORD)
    assert run["chapters"]["failed"]["value"] == 1
    assert run["imports"]["passed"]["config"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert compatibility.PAGE.read_text() == "the page\n"


def test_where_there_is_no_triton_its_steps_are_left_out(monkeypatch):
    asked = []
    monkeypatch.setattr(compatibility, "tests", lambda arguments: asked.extend(arguments))
    monkeypatch.setattr(compatibility, "imports", asked.extend)
    for step in compatibility.STEPS:
        compatibility.outcome(step, "darwin")
    assert {"torch", "tests/test_reference.py", "chapters/03_trilinear_attention.ipynb"} <= set(asked)
    assert not {"triton", "simplex_kernels", "tests/test_kernels.py", "chapters/07_triton_in_an_hour.ipynb"} & set(asked)
    assert set(compatibility.IMPORTS + compatibility.UNIT_TESTS + compatibility.CHAPTERS) >= compatibility.NEED_TRITON


def test_the_steps_name_what_is_there():
    assert all((ROOT / "tests" / f"test_{name}.py").exists() for name in compatibility.UNIT_TESTS)
    assert all((ROOT / "chapters" / f"{name}.ipynb").exists() for name in compatibility.CHAPTERS)


# The weekly job


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_weekly_job_records_and_shows_and_pushes_nothing():
    text = WORKFLOW.read_text()
    told = yaml.safe_load(text)
    assert told["permissions"] == {"contents": "read"}
    assert "git push" not in text
    assert told["env"]["TORCH_INDEX"] == bootstrap().CPU_INDEX
    for name, row in (("triton", TRITON), ("all", ALL)):
        job = told["jobs"][name]
        run = commands(job)
        assert f'.venv/bin/python -m tools.compatibility --row "{row}"' in run
        assert 'cat COMPATIBILITY.md >> "$GITHUB_STEP_SUMMARY"' in run
        (python,) = (step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
        assert python_range(PYPROJECT).contains(python)
        assert (row, python, "Linux") in compatibility.PLANNED
        (kept,) = (step for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
        assert kept["with"]["path"].split() == ["COMPATIBILITY.md", "results/compatibility.csv"]
        assert kept["if"] == "${{ !cancelled() }}"


def test_the_weekly_job_meets_no_cuda_package():
    for job in yaml.safe_load(WORKFLOW.read_text())["jobs"].values():
        for command in commands(job):
            if "pip install" in command and "--upgrade" in command and "torch" in command.split():
                assert '--no-deps --index-url "$TORCH_INDEX"' in command


def test_the_weekly_job_names_tests_that_are_there():
    named = re.findall(r"(?:tests/test_\w+\.py|chapters/\d\d_\*\.ipynb)", WORKFLOW.read_text())
    assert len(named) == 14
    assert all(list(ROOT.glob(name)) for name in named)
