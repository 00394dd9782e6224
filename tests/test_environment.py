"""One environment, described in four places: pyproject.toml, requirements.lock, environment.yml and CI. They must agree.

The judging functions take texts, so that each test can also hand them a spoilt text and see that it is found.
"""

import ast
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PYPROJECT = (ROOT / "pyproject.toml").read_text()
ENVIRONMENT = (ROOT / "environment.yml").read_text()
LOCKED_EXTRAS = ("lab", "test")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

NO_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError(
'<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f0>: Failed to establish a new connection: [Errno -3] Temporary failure in
name resolution')': /simple/anyio/
ERROR: Could not find a version that satisfies the requirement anyio==4.16.0 (from versions: none)
ERROR: No matching distribution found for anyio==4.16.0
"""
NO_BUILD = """\
ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 2.2.0, 2.2.1, 2.2.2)
ERROR: No matching distribution found for torch==2.13.0
"""


def lock_lines(lock):
    return [line for line in lock.splitlines() if line and not line.startswith("#")]


def python_range(pyproject):
    return SpecifierSet(tomllib.loads(pyproject)["project"]["requires-python"])


def lock_problems(lock, pyproject):
    """What a maintainer would have to repair, in words."""
    problems, pins = [], {}
    for line in lock_lines(lock):
        pin = Requirement(line)
        if not re.fullmatch(r"==[\w.]+", str(pin.specifier)):
            problems.append(f"{line}: not an exact version")
        if canonicalize_name(pin.name) in pins:
            problems.append(f"{pin.name}: listed twice")
        pins[canonicalize_name(pin.name)] = pin
    project = tomllib.loads(pyproject)["project"]
    for line in project["dependencies"] + [line for extra in LOCKED_EXTRAS for line in project["optional-dependencies"][extra]]:
        wanted = Requirement(line)
        pin = pins.get(canonicalize_name(wanted.name))
        if pin is None:
            problems.append(f"{wanted.name}: not in the lock")
        elif not wanted.specifier.contains(str(pin.specifier)[2:]):
            problems.append(f"{pin}: outside {wanted.specifier}")
        elif str(pin.marker) != str(wanted.marker):
            problems.append(f"{wanted.name}: marker {pin.marker} in the lock, {wanted.marker} in pyproject.toml")
    return problems


def environment_problems(environment, pyproject):
    dependencies = yaml.safe_load(environment)["dependencies"]
    named = [entry for entry in dependencies if isinstance(entry, str)]
    pip = next((entry["pip"] for entry in dependencies if isinstance(entry, dict)), [])
    problems = []
    python = next((entry.partition("=")[2] for entry in named if entry.startswith("python=")), "")
    if not re.fullmatch(r"3\.\d+", python) or not python_range(pyproject).contains(python):
        problems.append(f"python {python or 'not named'}: pyproject.toml says {python_range(pyproject)}")
    if {entry.partition("=")[0] for entry in named} != {"python", "pip"}:
        problems.append(f"{named}: only python and pip come from conda, the rest is in the lock")
    if [line for line in pip if not line.startswith("--extra-index-url ")] != ["-r requirements.lock", "-e ."]:
        problems.append(f"{pip}: the pip section is the lock, then the project")
    return problems


def needed_by_project():
    """Every package that the project with the locked extras needs on this platform, read from what is installed."""
    found, todo = set(), [("simplex-lab", frozenset(LOCKED_EXTRAS))]
    while todo:
        name, extras = todo.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        for line in importlib.metadata.requires(name) or []:
            wanted = Requirement(line)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                todo.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return {name for name, _ in found} - {"simplex-lab"}


def test_lock_meets_pyproject():
    assert lock_problems(LOCK, PYPROJECT) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("torch==2.13.0", "torch==2.16.0", "outside"),
        ("torch==2.13.0", "torch>=2.13.0", "not an exact version"),
        ("torch==2.13.0", "", "torch: not in the lock"),
        ("triton==3.7.1; sys_platform == 'linux'", "triton==3.7.1", "marker"),
        ("psutil==", "psutil==1.0\npsutil==", "listed twice"),
    ],
)
def test_a_spoilt_lock_is_found(old, new, problem):
    assert LOCK.count(old) >= 1
    assert any(problem in found for found in lock_problems(LOCK.replace(old, new), PYPROJECT))


def test_environment_yml_uses_the_lock():
    assert environment_problems(ENVIRONMENT, PYPROJECT) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("python=3.11", "python=3.10", "pyproject.toml says"),
        ("- python=3.11", "- python=3.11\n  - numpy", "only python and pip"),
        ("      - -r requirements.lock\n", "      - torch\n", "the pip section"),
    ],
)
def test_a_spoilt_environment_yml_is_found(old, new, problem):
    assert ENVIRONMENT.count(old) == 1
    assert any(problem in found for found in environment_problems(ENVIRONMENT.replace(old, new), PYPROJECT))


@pytest.mark.skipif(sys.platform != "linux", reason="the lock was made on Linux")
def test_lock_is_complete_and_has_nothing_else():
    on_linux = {canonicalize_name(pin.name) for pin in map(Requirement, lock_lines(LOCK)) if not pin.marker or pin.marker.evaluate()}
    # torch's CUDA build brings packages of its own, which the lock leaves to it.
    needed = {name for name in needed_by_project() if not re.match(r"nvidia-|cuda-", name)}
    assert needed - on_linux == set()
    if sys.version_info[:2] == (3, 11):  # the Python it was made with; later ones need less
        assert on_linux - needed == set()


def refusing(python):
    """The locked packages, as far as they are installed here, whose metadata refuses this Python."""
    found = []
    for pin in map(Requirement, lock_lines(LOCK)):
        try:
            package = importlib.metadata.distribution(pin.name)
        except importlib.metadata.PackageNotFoundError:  # another platform's
            continue
        as_locked = package.version.split("+")[0] == str(pin.specifier)[2:]
        if as_locked and not SpecifierSet(package.metadata["Requires-Python"] or "").contains(python):
            found.append(str(pin))
    return found


def test_lock_works_on_the_oldest_python():
    """3.11 includes 3.11.2, which Debian 12 has; some releases refuse it."""
    oldest = next(spec.version for spec in python_range(PYPROJECT) if spec.operator == ">=")
    assert refusing(oldest + ".2") == []
    assert refusing("3.9.0") != []


def test_ci_and_tools_name_the_same_python():
    oldest = next(spec.version for spec in python_range(PYPROJECT) if spec.operator == ">=")
    versions = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions[0] == oldest
    assert all(python_range(PYPROJECT).contains(version) for version in versions)
    assert tuple(int(part) for part in oldest.split(".")) == bootstrap().OLDEST
    assert tomllib.loads(PYPROJECT)["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")


def test_ci_script_demands_the_browser():
    script = (ROOT / ".ci/run").read_text()
    assert re.search(r"^export REQUIRE_BROWSER=1$", script, re.M)
    assert os.access(ROOT / ".ci/run", os.X_OK)
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run", "make site"]


def make(*args):
    # `make test` hands its own settings on to what it runs; these tests start clean.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON")}
    return subprocess.run(["make", *args], cwd=ROOT, capture_output=True, text=True, env=environment)


@POSIX
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_help_lists_every_target():
    shown = make().stdout
    targets = set(re.search(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split())
    assert targets >= {"lab", "test", "test-gpu", "notebooks", "check", "lint"}
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", shown, re.M))
    assert listed == targets


@POSIX
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_says_so_when_there_is_no_such_python():
    done = make("setup", "PYTHON=python3.99")
    assert done.returncode != 0
    assert "There is no python3.99 here" in done.stdout


def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "tools/bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bootstrap_parses_on_old_pythons():
    source = (ROOT / "tools/bootstrap.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    with pytest.raises(SyntaxError):
        ast.parse("if (n := 1): pass", feature_version=(3, 6))


def test_too_old_python_is_told_what_to_do():
    tool = bootstrap()
    tool.check_python((3, 11, 0), runs=lambda name: False)
    with pytest.raises(tool.SetupError) as none_found:
        tool.check_python((3, 9, 2), runs=lambda name: False)
    expected = "Python 3.11 or newer is needed, this is 3.9.2: install one, or say which to use: make lab PYTHON=python3.12"
    assert str(none_found.value) == expected
    with pytest.raises(tool.SetupError, match=r"3\.8\.1: python3\.11 is on this machine, so say: make lab PYTHON=python3\.11"):
        tool.check_python((3, 8, 1), runs=lambda name: name == "python3.11")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (NO_NETWORK, "no network"),
        (NO_BUILD, "no build of torch==2.13.0"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: something nobody foresaw", "pip failed. Its last lines:\n  ERROR: something nobody foresaw"),
    ],
)
def test_what_pip_prints_becomes_advice(printed, said):
    assert said in bootstrap().explain(printed)


def fake_project(folder, pip_says="", pip_status=0):
    """A copy of the set-up whose environment has a python that answers every `pip install` as told, without installing anything."""
    (folder / "tools").mkdir(parents=True)
    for name in ("tools/bootstrap.py", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    bin_folder = folder / ".venv/bin"
    bin_folder.mkdir(parents=True)
    (folder / ".venv/pyvenv.cfg").write_text("version = 3.11.7\n")
    (folder / "pip_says").write_text(pip_says)
    (bin_folder / "pip").write_text(f"#!{bin_folder.resolve()}/python\n")
    (bin_folder / "python").write_text(
        f'#!/bin/sh\ncase "$*" in *"pip install"*) echo "$*" >> {folder}/calls; cat {folder}/pip_says; exit {pip_status};; esac\n'
    )
    (bin_folder / "python").chmod(0o755)
    return folder


def run_setup(folder, *args, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "TORCH_INDEX"} | variables
    command = [sys.executable, "-S", folder / "tools/bootstrap.py", *args]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@POSIX
def test_setup_without_network_explains_and_leaves_no_stamp(tmp_path):
    done = run_setup(fake_project(tmp_path / "p", NO_NETWORK, 1))
    assert done.returncode == 1
    assert "Set-up stopped. pip could not reach the package index: no network" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "p/.venv/.ready").exists()


@POSIX
def test_second_setup_is_fast_and_a_change_runs_it_again(tmp_path):
    project = fake_project(tmp_path / "p")
    assert run_setup(project).returncode == 0
    calls = (project / "calls").read_text().splitlines()
    assert [call.split("--no-input ")[1] for call in calls] == ["-r requirements.lock", "--no-deps -e ."]
    assert "fetchNews" in (project / ".venv/share/jupyter/lab/settings/overrides.json").read_text()

    start = time.perf_counter()
    second = run_setup(project)
    seconds = time.perf_counter() - start
    assert second.stdout == "Environment is ready (Python 3.11).\n"
    assert len((project / "calls").read_text().splitlines()) == len(calls)
    assert seconds < 1

    with open(project / "requirements.lock", "a") as lock:
        lock.write("# changed\n")
    (project / "pip_says").write_text(NO_NETWORK)
    (project / ".venv/bin/python").write_text((project / ".venv/bin/python").read_text().replace("exit 0", "exit 1"))
    assert run_setup(project).returncode == 1
    assert not (project / ".venv/.ready").exists(), "a failed set-up left the stamp of the earlier one"


@POSIX
def test_torch_index_is_asked_for_torch_first(tmp_path):
    project = fake_project(tmp_path / "p")
    assert run_setup(project, TORCH_INDEX="https://example.org/cpu").returncode == 0
    first = (project / "calls").read_text().splitlines()[0]
    assert first.endswith("--no-deps --index-url https://example.org/cpu torch==2.13.0")


@POSIX
def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    project = fake_project(tmp_path / "p")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("years of work")
    done = run_setup(project, tmp_path / "thesis")
    assert done.returncode == 1
    assert "is no Python environment, so it stays as it is" in done.stderr
    assert (tmp_path / "thesis/chapter.tex").read_text() == "years of work"


@POSIX
def test_a_broken_environment_is_made_again(tmp_path):
    project = fake_project(tmp_path / "p")
    (project / ".venv/bin/python").unlink()
    (project / ".venv/bin/python").symlink_to("/nowhere/python3.11")
    tool = bootstrap()
    environment = tool.Environment(project / ".venv")
    assert not environment.healthy()
    tool.run = lambda command: (
        1,
        "Error: ensurepip is not available. On Debian/Ubuntu systems, you need to install the python3-venv package",
    )
    with pytest.raises(tool.SetupError, match="its venv module is missing"):
        environment.create()
    assert not (project / ".venv").exists()


@POSIX
def test_a_moved_environment_is_noticed(tmp_path):
    project = fake_project(tmp_path / "p")
    assert run_setup(project).returncode == 0
    project.rename(tmp_path / "moved")
    tool = bootstrap()
    moved = tool.Environment(tmp_path / "moved/.venv")
    assert not moved.ready()
    assert not moved.healthy()
