"""An offline bundle holds what is committed and what the lock asks for, and sets itself up without a network.

The fast tests bundle a tiny course whose wheels hold nothing but a name. The slow one makes the real bundle, and installs it where there
is no network.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.tags import parse_tag
from test_environment import POSIX, ROOT, bootstrap, fake_project, run_setup

from simplex_lab.doctor_workshop import OFFLINE
from tools import bundle

TARGET = bundle.Target("3.11", "linux-x86_64")
HERE = bundle.bootstrap.this_platform()
LOCK = "numpy==2.0\ntorch==2.13.0\ntriton==3.7.1; sys_platform == 'linux'\nappnope==1.0.0; sys_platform == 'darwin'\n"
WHEELS = {
    "numpy-2.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": (),
    "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl": (
        "numpy",
        "triton==3.7.1; sys_platform == 'linux'",
        "optree; extra == 'optree'",
    ),
    "triton-3.7.1-cp311-cp311-manylinux_2_28_x86_64.whl": (),
    "hatchling-1.33.0-py3-none-any.whl": ("pluggy>=1.0.0", "tomli; python_version < '3.11'"),
    "pluggy-1.7.0-py3-none-any.whl": (),
    "editables-0.6-py3-none-any.whl": (),
}


def write_wheel(folder, name, requires=()):
    package, version = name.split("-")[:2]
    lines = ["Metadata-Version: 2.1", f"Name: {package}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(f"{package}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")


def bringing(wheels):
    """A download that brings these wheels."""

    def fetch(folder, target, pins, build):
        for name, requires in wheels.items():
            write_wheel(folder, name, requires)

    return fetch


def git(folder, *args):
    names = {f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True, env=os.environ | names).stdout.strip()


@pytest.fixture
def course(tmp_path):
    """A tiny course under git, with changes that were never committed."""
    root = tmp_path / "course"
    committed = {
        "simplex_lab/__init__.py": '__version__ = "0.1.0"\n',
        "requirements.lock": "# by hand\n" + LOCK,
        "pyproject.toml": '[build-system]\nrequires = ["hatchling>=1.27"]\n[project]\nrequires-python = ">=3.11"\n',
        "results/chapter00.csv": "seed,accuracy\n0,0.97\n",
        "run": "#!/bin/sh\n",
        ".gitignore": "work/\n.venv*/\n",
    }
    for name, text in committed.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "run").chmod(0o755)
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "all")
    for name in ("work/answers.ipynb", ".venv/bin/python", "notes.txt", "simplex_lab/new.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
    (root / "results/chapter00.csv").write_text("seed,accuracy\n0,1.00\n")
    git(root, "add", "simplex_lab/new.py")
    return root


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def make(course, wheels=WHEELS, target=TARGET, commit="HEAD"):
    return bundle.make(course, target, commit, course.parent / "out", bringing(wheels))


def test_only_what_is_committed_is_packed(course, tmp_path):
    archive = make(course)
    commit = git(course, "rev-parse", "HEAD")
    assert archive.name == f"simplex-lab-0.1.0-{commit[:7]}-py3.11-linux-x86_64.tar.gz"
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        assert {member.uname for member in members} <= {"", "root"}
    root = unpack(archive, tmp_path / "room")
    packed = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    extra = {"BUNDLE.txt", "wheels/manifest.json", *(f"wheels/{name}" for name in WHEELS)}
    assert packed == extra | set(git(course, "ls-tree", "-r", "--name-only", "HEAD").splitlines())
    assert "0.97" in (root / "results/chapter00.csv").read_text(), "a change that was never committed"
    assert os.access(root / "run", os.X_OK)
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert list(archive.parent.iterdir()) == [archive], "scratch is left"


def test_the_manifest_and_the_note_say_what_it_is_for(course, tmp_path):
    root = unpack(make(course, commit="HEAD"), tmp_path / "room")
    facts = json.loads((root / "wheels/manifest.json").read_text())
    wheels = facts.pop("wheels")
    assert facts == {"course": "0.1.0", "commit": git(course, "rev-parse", "HEAD"), "python": "3.11", "platform": "linux-x86_64"}
    assert wheels == {name: hashlib.sha256((root / "wheels" / name).read_bytes()).hexdigest() for name in WHEELS}
    assert "For Python 3.11 on linux-x86_64, and for nothing else." in (root / "BUNDLE.txt").read_text()


def test_an_older_commit_brings_its_own_lock(course):
    git(course, "tag", "workshop-2027-01-01")
    (course / "requirements.lock").write_text(LOCK.replace("numpy==2.0", "numpy==2.1"))
    git(course, "commit", "-q", "-a", "-m", "numpy 2.1")
    assert git(course, "rev-parse", "--short=7", "workshop-2027-01-01") in make(course, commit="workshop-2027-01-01").name
    with pytest.raises(bundle.BundleError, match=r"numpy==2\.1: the wheel is 2\.0"):
        make(course)
    with pytest.raises(bundle.BundleError, match="git rev-parse"):
        make(course, commit="no-such-tag")


NUMPY, TORCH, TRITON, HATCHLING, PLUGGY, EDITABLES = WHEELS


@pytest.mark.parametrize(
    ("without", "brought", "said"),
    [
        (NUMPY, {}, "numpy==2.0: no wheel, and the lock or the build asks for it"),
        (TRITON, {}, "triton==3.7.1: no wheel"),
        (EDITABLES, {}, "editables: no wheel"),
        (PLUGGY, {}, "pluggy>=1.0.0: no wheel, and hatchling asks for it"),
        (NUMPY, {"numpy-2.0.1-py3-none-any.whl": ()}, "numpy==2.0: the wheel is 2.0.1"),
        (HATCHLING, {"hatchling-1.20.0-py3-none-any.whl": ("pluggy",)}, "hatchling>=1.27: the wheel is 1.20.0"),
        (TORCH, {TORCH: ("nvidia-cudnn-cu13==9.20.0.48; platform_system == 'Linux'",)}, "nvidia-cudnn-cu13==9.20.0.48"),
        (NUMPY, {"numpy-2.0-cp312-cp312-manylinux_2_17_x86_64.whl": ()}, "is not for Python 3.11 on linux-x86_64"),
        (NUMPY, {"numpy-2.0-cp311-cp311-manylinux_2_34_x86_64.whl": ()}, "is not for"),
        (None, {"numpy-2.0-cp311-abi3-manylinux2014_x86_64.whl": ()}, "numpy: there are two wheels of it"),
        (None, {"requests-2.34.2-py3-none-any.whl": ()}, "requests: nothing asks for this wheel"),
    ],
)
def test_wheels_that_are_not_the_lock_are_refused(course, without, brought, said):
    with pytest.raises(bundle.BundleError) as refused:
        make(course, {name: requires for name, requires in WHEELS.items() if name != without} | brought)
    assert said in str(refused.value)
    assert list((course.parent / "out").iterdir()) == [], "a refused bundle leaves something behind"


def test_extras_are_followed(course):
    with pytest.raises(bundle.BundleError, match="optree: no wheel, and torch asks for it"):
        make(course, WHEELS | {PLUGGY: ("torch[optree]",)})


def test_a_python_that_the_course_refuses(course):
    with pytest.raises(bundle.BundleError, match=r"needs Python >=3\.11, not 3\.10"):
        make(course, target=bundle.Target("3.10", "linux-x86_64"))


def test_a_full_disk_is_said_before_anything_is_fetched(course, monkeypatch):
    monkeypatch.setattr(bundle, "ROOM", 1e18)
    with pytest.raises(bundle.BundleError, match="GB of disk are free"):
        bundle.make(course, TARGET, "HEAD", course.parent / "out", lambda *_: pytest.fail("fetched"))


@pytest.mark.parametrize(
    ("platform", "has", "has_not"),
    [
        ("linux-x86_64", {"triton"}, {"appnope", "pywinpty", "colorama"}),
        ("macos-arm64", {"appnope"}, {"triton", "pywinpty", "colorama"}),
        ("windows-x86_64", {"pywinpty", "colorama"}, {"triton", "appnope"}),
    ],
)
def test_pins_are_of_the_learners_machine(platform, has, has_not):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(ROOT / "requirements.lock", "requirements.lock")
    names = {pin.name for pin in bundle.Tree("0" * 40, packed.getvalue()).pins(bundle.Target("3.12", platform))}
    assert names >= has | {"torch", "numpy", "jupyterlab"}
    assert not names & has_not


@pytest.mark.skipif(HERE not in bundle.PLATFORMS, reason="no bundle is made for such a machine")
def test_this_machine_is_described_as_it_is():
    told, here = bundle.Target("3.11", HERE).environment(), default_environment()
    names = ("sys_platform", "platform_system", "os_name", "platform_machine", "implementation_name", "platform_python_implementation")
    assert {name: told[name] for name in names} == {name: here[name] for name in names}


@pytest.mark.parametrize(
    ("platform", "tag", "fits"),
    [
        ("linux-x86_64", "cp312-cp312-manylinux_2_28_x86_64", True),
        ("linux-x86_64", "cp38-abi3-manylinux2010_x86_64", True),
        ("linux-x86_64", "cp312-cp312-musllinux_1_2_x86_64", False),
        ("linux-x86_64", "cp312-cp312-manylinux_2_28_aarch64", False),
        ("linux-aarch64", "cp312-cp312-manylinux_2_28_aarch64", True),
        ("macos-arm64", "cp312-cp312-macosx_11_0_arm64", True),
        ("macos-arm64", "cp312-cp312-macosx_10_13_universal2", True),
        ("macos-arm64", "cp312-cp312-macosx_15_0_arm64", False),
        ("windows-x86_64", "cp312-cp312-win_amd64", True),
        ("windows-x86_64", "cp313-cp313-win_amd64", False),
        ("windows-x86_64", "py3-none-any", True),
    ],
)
def test_which_wheels_a_machine_takes(platform, tag, fits):
    assert bool(parse_tag(tag) & bundle.Target("3.12", platform).tags()) == fits


def fake_pip(monkeypatch, status=0, says=""):
    """Commands that were given to pip, which fetches nothing."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, status, stdout=says)

    monkeypatch.setattr(bundle.subprocess, "run", run)
    return commands


@pytest.mark.parametrize(("platform", "torch"), [("linux-x86_64", "torch==2.13.0+cpu"), ("macos-arm64", "torch==2.13.0")])
def test_torch_is_asked_for_first_alone_and_without_cuda(tmp_path, monkeypatch, platform, torch):
    commands = fake_pip(monkeypatch)
    monkeypatch.setenv("TORCH_INDEX", "https://example.org/cpu")
    pins, build = [bundle.Requirement(line) for line in ("numpy==2.0", "torch==2.13.0")], [bundle.Requirement("hatchling>=1.27")]
    bundle.download(tmp_path / "wheels", bundle.Target("3.12", platform), pins, build)
    first, second, third = commands
    assert first[-4:] == ["--no-deps", "--index-url", "https://example.org/cpu", torch]
    assert second[-2:] == ["--no-deps", "numpy==2.0"]
    assert third[-1] == "hatchling>=1.27"
    assert not any("torch=" in part for command in (second, third) for part in command)
    assert all(command[command.index("--python-version") + 1] == "3.12" for command in commands)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "TORCH_INDEX=https://download.pytorch.org/whl/cpu"),
        ("ERROR: Cannot install torch==2.13.0+cpu because these", "TORCH_INDEX="),
        ("ERROR: No matching distribution found for numpy==2.0", "there is no wheel of numpy==2.0 for Python 3.11 on linux-x86_64."),
        ("Temporary failure in name resolution\nERROR: No matching distribution found for torch==2.13.0+cpu", "no network"),
        ("ERROR: [Errno 28] No space left on device", "The disk is full"),
    ],
)
def test_a_download_that_failed_is_explained(tmp_path, monkeypatch, printed, said):
    fake_pip(monkeypatch, 1, printed)
    with pytest.raises(bundle.BundleError) as failed:
        bundle.pip_download(tmp_path, TARGET, "torch==2.13.0+cpu")
    assert said in str(failed.value)


FACTS = {"python": "3.12", "platform": "linux-x86_64", "wheels": {}}


@pytest.mark.parametrize(
    ("python", "here", "installed", "advice"),
    [
        ("3.11", "linux-x86_64", True, "say make lab PYTHON=python3.12 (without make: python3.12 tools/bootstrap.py --this-python)."),
        ("3.9", "linux-x86_64", False, "install Python 3.12, or get the bundle for Python 3.9."),
        ("3.12", "macos-arm64", True, "get the one for this machine, or connect and delete its folder wheels."),
    ],
)
def test_another_python_or_machine_gets_one_sentence(python, here, installed, advice):
    tool = bootstrap()
    tool.check_bundle(FACTS, "3.12", "linux-x86_64")
    with pytest.raises(tool.SetupError) as refused:
        tool.check_bundle(FACTS, python, here, runs=lambda name: installed and name == "python3.12")
    assert str(refused.value) == f"This bundle is for Python 3.12 on linux-x86_64, here is Python {python} on {here}: {advice}"


def fake_bundle(folder, python="3.11", platform=HERE):
    """A project whose environment (of Python 3.11) installs nothing, with one wheel beside the lock."""
    project = fake_project(folder)
    (project / "wheels").mkdir()
    (project / "wheels/a-1-py3-none-any.whl").write_bytes(b"a wheel")
    facts = {"python": python, "platform": platform, "wheels": {"a-1-py3-none-any.whl": hashlib.sha256(b"a wheel").hexdigest()}}
    (project / "wheels/manifest.json").write_text(json.dumps(facts))
    return project


@POSIX
@pytest.mark.parametrize("variables", [{}, {"TORCH_INDEX": "https://example.org/cpu"}])
def test_setup_in_a_bundle_asks_no_index(tmp_path, variables):
    project = fake_bundle(tmp_path / "p")
    done = run_setup(project, **variables)
    assert done.returncode == 0, done.stderr
    calls = [call.split("--no-input ")[1] for call in (project / "calls").read_text().splitlines()]
    assert calls == [f"--no-index --find-links wheels {what}" for what in ("-r requirements.lock", "--no-deps -e .")]
    assert "CUDA" not in done.stdout


@POSIX
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda wheels: (wheels / "a-1-py3-none-any.whl").write_bytes(b"a whee"), "wheels/a-1-py3-none-any.whl is not as it was packed"),
        (lambda wheels: (wheels / "a-1-py3-none-any.whl").unlink(), "wheels/a-1-py3-none-any.whl is not as it was packed, or is missing"),
        (lambda wheels: (wheels / "manifest.json").write_text('{"python": "3.'), "wheels/manifest.json is not as it was packed"),
    ],
)
def test_a_damaged_bundle_installs_nothing(tmp_path, spoil, said):
    project = fake_bundle(tmp_path / "p")
    spoil(project / "wheels")
    refused(run_setup(project), project, said)


@POSIX
@pytest.mark.parametrize(("python", "platform"), [("3.99", HERE), ("3.11", "plan9-mips")])
def test_a_bundle_for_others_installs_nothing(tmp_path, python, platform):
    project = fake_bundle(tmp_path / "p", python, platform)
    refused(run_setup(project), project, f"This bundle is for Python {python} on {platform}, here is Python 3.11 on {HERE}: ")


@POSIX
def test_a_machine_too_old_for_the_wheels_is_told_so(tmp_path):
    project = fake_bundle(tmp_path / "p")
    (project / ".venv/bin/python").write_text("#!/bin/sh\ncase $* in *install*) cat pip_says; exit 1;; esac\n")
    (project / "pip_says").write_text("ERROR: No matching distribution found for torch==2.13.0\n")
    assert "Set-up stopped. The bundle has no build of torch==2.13.0 that this machine takes" in run_setup(project).stderr


def refused(done, project, said):
    assert done.returncode == 1
    assert f"Set-up stopped. {said}" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (project / "calls").exists(), "pip was asked"


@pytest.mark.parametrize(("args", "said"), [(["--python", "3.12.1"], "write it as 3.12"), (["--platform", "linux"], "invalid choice")])
def test_options_that_make_no_sense(args, said, capsys):
    with pytest.raises(SystemExit):
        bundle.main(args)
    assert said in capsys.readouterr().err


def snapshot(folder, monkeypatch):
    """The tracked files as they are now, as a commit that the repository itself never sees; for who tests before committing."""
    objects = git(ROOT, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    (folder / "objects").mkdir()
    monkeypatch.setenv("GIT_INDEX_FILE", str(folder / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(folder / "objects"))
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects)
    git(ROOT, "read-tree", "HEAD")
    git(ROOT, "add", "-u")
    return git(ROOT, "commit-tree", git(ROOT, "write-tree"), "-p", "HEAD", "-m", "as it is now")


NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")


def without_network(home):
    """(words before a command, its environment): in a namespace without a network, or, where there are none, behind proxies that refuse."""
    ours = ("PIP_", "PYTHON", "GIT_", "MAKE", "MFLAGS", "TORCH_INDEX", "TRITON_INTERPRET", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours) and not name.lower().endswith("_proxy")}
    # A pip with settings of its own could find the wheels elsewhere.
    environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "PIP_CONFIG_FILE": os.devnull}
    if shutil.which("unshare") and subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0:
        return NAMESPACE, environment
    return (), environment | dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture
def scratch(tmp_path):
    """pytest keeps its folders for a while; gigabytes go at once."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@POSIX
@pytest.mark.slow
@pytest.mark.skipif(HERE not in bundle.PLATFORMS, reason="no bundle is made for such a machine")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a bundle is made of a repository")
def test_the_bundle_sets_itself_up_without_a_network(scratch, monkeypatch):
    python = bundle.Target(f"{sys.version_info[0]}.{sys.version_info[1]}", HERE)
    with monkeypatch.context() as patch:
        archive = bundle.make(ROOT, python, snapshot(scratch, patch), scratch / "out")
        tracked = git(ROOT, "ls-tree", "-r", "--name-only", git(ROOT, "write-tree")).splitlines()
    assert archive.stat().st_size < 1e9
    room = unpack(archive, scratch / "workshop room")
    archive.unlink()
    assert {path.relative_to(room).as_posix() for path in room.rglob("*") if path.is_file()} - set(tracked) == {
        "BUNDLE.txt",
        "wheels/manifest.json",
        *(f"wheels/{name}" for name in json.loads((room / "wheels/manifest.json").read_text())["wheels"]),
    }

    (scratch / "home").mkdir()
    before, environment = without_network(scratch / "home")

    def run(*command, status=0, **variables):
        done = subprocess.run(
            [*before, *map(str, command)], cwd=room, env=environment | variables, capture_output=True, text=True, timeout=900
        )
        assert (done.returncode == 0) == (status == 0), done.stdout + done.stderr
        return done.stdout + done.stderr

    if before:
        assert run(sys.executable, "-c", "import socket; print(*(name for _, name in socket.if_nameindex()))").split() == ["lo"]
    base = Path(sys._base_executable)
    setup = ("make", "setup", f"PYTHON={base}") if shutil.which("make") else (base, "tools/bootstrap.py")
    assert "Environment is ready" in run(*setup)
    assert "is ready (Python" in run(*setup)

    inside = Path(".venv/bin")
    assert run(inside / "python", "-c", "import simplex_lab, torch; print(simplex_lab.__file__)").strip() == str(
        room / "simplex_lab/__init__.py"
    )
    run(inside / "python", "-c", OFFLINE)  # solves 03.2 with the course's own answer
    doctor = run(inside / "simplex-lab", "doctor")
    assert "all as in requirements.lock" in doctor
    assert "FAIL" not in doctor

    # README's four commands, with the two variables of BUNDLE.txt. Without what builds the project they fail.
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"}
    assert all(f"{name}={value}" in (room / "BUNDLE.txt").read_text() for name, value in offline.items())
    shutil.rmtree(room / ".venv")
    run(base, "-m", "venv", ".venv")
    assert "Would install" in run(inside / "pip", "install", "--dry-run", "-r", "requirements.lock", **offline)
    for wheel in [*(room / "wheels").glob("editables-*"), *(room / "wheels").glob("hatchling-*")]:
        wheel.rename(scratch / wheel.name)
        assert "No matching distribution found for " + wheel.name.split("-")[0] in run(
            inside / "pip", "install", "--no-deps", "-e", ".", status=1, **offline
        )
        (scratch / wheel.name).rename(wheel)
    assert "Successfully installed simplex-lab" in run(inside / "pip", "install", "--no-deps", "-e", ".", **offline)
