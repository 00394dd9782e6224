"""One archive for a room without a network: the course as committed, and all wheels that its set-up asks for.

``python -m tools.bundle [--python 3.12] [--platform macos-arm64] [--commit TAG] [--out dist]``, or ``make bundle``. In the unpacked folder
``make setup`` finds ``wheels/`` beside the lock and asks no package index (``tools/bootstrap.py``). ``workshop/bundle.md`` is for teachers.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tools import bootstrap

ROOT = Path(__file__).resolve().parent.parent
EDITABLE = "editables"  # what hatchling asks for besides pyproject.toml's list when it installs a folder with `pip install -e`
ROOM = 2e9  # the wheels and the archive of them, with some to spare

NOTE = """\
Simplex Lab {course}, commit {commit}, with every package that it needs: nothing is fetched from a network.

For Python {python} on {platform}, and for nothing else.

    make lab            sets up .venv and opens JupyterLab; if python3 is another Python: make lab PYTHON=python{python}

Without make (on Windows write py -{python} for python{python}, and .venv\\Scripts for .venv/bin):

    python{python} tools/bootstrap.py
    .venv/bin/jupyter lab chapters/00_start_here.ipynb

The four commands of README.md work, too, after: export PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels
(on Windows: set PIP_NO_INDEX=1, then set PIP_FIND_LINKS=wheels)

Set up, the course does not need the folder wheels any more. wheels/manifest.json has the SHA-256 of each.
"""


class BundleError(Exception):
    """Why there is no bundle, and what to do, in words for a teacher."""


@dataclass(frozen=True)
class Target:
    """The machines that a bundle is for: python as '3.12', platform as one of PLATFORMS."""

    python: str
    platform: str

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"

    def pip_platforms(self) -> list[str]:
        """What a wheel's name may end in, as ``pip download --platform`` takes it. On Linux torch needs glibc 2.28."""
        machine = self.platform.rpartition("-")[2]
        if self.platform.startswith("linux"):
            old = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
            names = [name for n in range(28, 4, -1) for name in (f"manylinux_2_{n}", old.get(n)) if name]
            return [f"{name}_{machine}" for name in names]
        return {"macos-arm64": ["macosx_14_0_arm64"], "windows-x86_64": ["win_amd64"]}[self.platform]

    def tags(self) -> set[Tag]:
        """The wheels that such a machine installs."""
        version = tuple(int(part) for part in self.python.split("."))
        platforms = list(mac_platforms((14, 0), "arm64")) if self.platform == "macos-arm64" else self.pip_platforms()
        return {*cpython_tags(version, platforms=platforms), *compatible_tags(version, f"cp{version[0]}{version[1]}", platforms)}

    def environment(self) -> dict[str, str]:
        """What the markers of requirements are judged by, here of another machine than this one. pip would take this one's."""
        sys_platform, system, os_name, machine = PLATFORMS[self.platform]
        return default_environment() | {
            "sys_platform": sys_platform,
            "platform_system": system,
            "os_name": os_name,
            "platform_machine": machine,
            "python_version": self.python,
            "python_full_version": f"{self.python}.2",  # of 3.11, the one that Debian 12 has
            "platform_release": "",
            "platform_version": "",
        }


PLATFORMS = {
    "linux-x86_64": ("linux", "Linux", "posix", "x86_64"),
    "linux-aarch64": ("linux", "Linux", "posix", "aarch64"),
    "macos-arm64": ("darwin", "Darwin", "posix", "arm64"),
    "windows-x86_64": ("win32", "Windows", "nt", "AMD64"),
}


@dataclass(frozen=True)
class Tree:
    """The course as a commit has it. What is not committed is not in it."""

    commit: str
    files: bytes  # a tar, as `git archive` makes it

    def read(self, name: str) -> str:
        with tarfile.open(fileobj=io.BytesIO(self.files)) as tar:
            return tar.extractfile(name).read().decode()

    @property
    def version(self) -> str:
        return re.search(r'^__version__ = "(.+)"$', self.read("simplex_lab/__init__.py"), re.M)[1]

    def pins(self, target: Target) -> list[Requirement]:
        """The lock's lines that apply to these machines, without their markers."""
        lines = [line for line in self.read("requirements.lock").splitlines() if line.strip() and not line.startswith("#")]
        pins = [pin for pin in map(Requirement, lines) if not pin.marker or pin.marker.evaluate(target.environment())]
        return [Requirement(f"{pin.name}{pin.specifier}") for pin in pins]

    def build_requirements(self) -> list[Requirement]:
        """What ``pip install -e .`` asks for before it installs anything."""
        return [Requirement(line) for line in [*tomllib.loads(self.read("pyproject.toml"))["build-system"]["requires"], EDITABLE]]

    def pythons(self) -> SpecifierSet:
        return SpecifierSet(tomllib.loads(self.read("pyproject.toml"))["project"]["requires-python"])


def read_tree(root: Path, commit: str) -> Tree:
    def git(*args: str) -> bytes:
        done = subprocess.run(["git", *args], cwd=root, capture_output=True)
        if done.returncode:
            raise BundleError(f"git {args[0]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    # The commit first: its name may be a branch, and a branch moves.
    found = git("rev-parse", "--verify", f"{commit}^{{commit}}").decode().strip()
    return Tree(found, git("archive", "--format=tar", found))


def pip_download(folder: Path, target: Target, *args: str) -> None:
    platforms = [part for name in target.pip_platforms() for part in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--dest", str(folder)]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", target.python, *platforms, *args]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode == 0:
        return
    # The second is what pip says where its own settings hold a constraint on the package.
    missing = re.search(r"(?:No matching distribution found for|Cannot install) (\S+)", done.stdout)
    if not missing or re.search(bootstrap.NO_NETWORK, done.stdout, re.I):
        raise BundleError(bootstrap.explain(done.stdout))
    advice = f" Take PyTorch's own index: make bundle TORCH_INDEX={bootstrap.CPU_INDEX}" if missing[1].startswith("torch==") else ""
    raise BundleError(f"there is no wheel of {missing[1]} for {target}.{advice}")


def download(folder: Path, target: Target, pins: list[Requirement], build: list[Requirement]) -> None:
    """Fetch wheels into a folder: the lock's, and what builds the project.

    torch comes first and alone. On Linux it is asked for as ``+cpu``, a name that only PyTorch's index has: the package index's own
    torch would need gigabytes of CUDA packages beside it.
    """
    torch = [pin for pin in pins if pin.name == "torch"]
    others = [str(pin) for pin in pins if pin.name != "torch"]
    index = os.environ.get("TORCH_INDEX")
    for pin in torch:
        local = "+cpu" if target.platform.startswith("linux") else ""
        pip_download(folder, target, "--no-deps", *(["--index-url", index] if index else []), f"{pin}{local}")
    pip_download(folder, target, "--no-deps", *others)
    constraints = folder.parent / "constraints.txt"  # a package that the lock has is built with in the lock's version
    constraints.write_text("\n".join(others))
    pip_download(folder, target, "--find-links", str(folder), "--constraint", str(constraints), *map(str, build))


def needs(wheel: Path) -> list[Requirement]:
    """What a wheel says that has to be installed beside it."""
    with zipfile.ZipFile(wheel) as files:
        name = next(name for name in files.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return [Requirement(line) for line in message_from_bytes(files.read(name)).get_all("Requires-Dist", [])]


def problems(folder: Path, target: Target, roots: list[Requirement]) -> list[str]:
    """Why the wheels of a folder are not what the roots (the lock and the build's requirements) ask for; each once, and nothing else."""
    found, wheels, tags = [], {}, target.tags()
    for path in sorted(folder.iterdir()):
        name, version, _, kinds = parse_wheel_filename(path.name)
        if name in wheels:
            found.append(f"{name}: there are two wheels of it")
        if not kinds & tags:
            found.append(f"{path.name}: is not for {target}")
        wheels[name] = version, path
    return found + unmet(wheels, roots, target.environment())


def unmet(wheels: Mapping[NormalizedName, tuple[Version, Path]], roots: list[Requirement], environment: dict[str, str]) -> list[str]:
    """Requirements without a wheel that meets them, followed from wheel to wheel; and wheels that nothing asks for."""
    found, seen, todo = [], set(), [(root, "the lock or the build") for root in roots]
    while todo:
        wanted, by = todo.pop()
        name = canonicalize_name(wanted.name)
        if name not in wheels:
            found.append(f"{name}{wanted.specifier}: no wheel, and {by} asks for it")
            continue
        version, path = wheels[name]
        if not wanted.specifier.contains(version, prereleases=True):
            found.append(f"{name}{wanted.specifier}: the wheel is {version}, and {by} asks for it")
        for extra in {"", *wanted.extras} - {extra for have, extra in seen if have == name}:
            seen.add((name, extra))
            todo += [(r, name) for r in needs(path) if not r.marker or r.marker.evaluate(environment | {"extra": extra})]
    reached = {name for name, _ in seen}
    return sorted({*found, *(f"{name}: nothing asks for this wheel" for name in wheels if name not in reached)})


def manifest(folder: Path, target: Target, tree: Tree) -> dict:
    """What ``tools/bootstrap.py`` judges a machine and the wheels by."""
    return {
        "course": tree.version,
        "commit": tree.commit,
        "python": target.python,
        "platform": target.platform,
        "wheels": {path.name: bootstrap.sha256(path) for path in sorted(folder.iterdir())},
    }


def pack(archive: Path, tree: Tree, facts: dict, folder: Path) -> None:
    """The tree, the note, the manifest, then the wheels: a copy that broke off has a manifest to be found by. No names of this machine."""
    top = archive.name.removesuffix(".tar.gz")
    # Level 1: wheels are compressed already.
    with tarfile.open(archive, "w:gz", compresslevel=1) as out, tarfile.open(fileobj=io.BytesIO(tree.files)) as files:
        newest = max(member.mtime for member in files)

        def add(name: str, size: int, data: io.BufferedIOBase) -> None:
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mtime = size, newest
            out.addfile(member, data)

        for member in files:
            data = files.extractfile(member) if member.isfile() else None
            member.name = f"{top}/{member.name}"
            out.addfile(member, data)
        for name, text in (("BUNDLE.txt", NOTE.format(**facts)), ("wheels/manifest.json", json.dumps(facts, indent=1) + "\n")):
            add(name, len(text.encode()), io.BytesIO(text.encode()))
        for name in facts["wheels"]:
            with open(folder / name, "rb") as wheel:
                add(f"wheels/{name}", (folder / name).stat().st_size, wheel)


Fetch = Callable[[Path, Target, list[Requirement], list[Requirement]], None]


def make(root: Path, target: Target, commit: str, out: Path, fetch: Fetch = download) -> Path:
    """Make the archive, or say why not and leave nothing behind."""
    tree = read_tree(root, commit)
    if not tree.pythons().contains(target.python):
        raise BundleError(f"the course needs Python {tree.pythons()}, not {target.python}.")
    out.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out).free
    if free < ROOM:
        raise BundleError(f"only {free / 1e9:.1f} GB of disk are free in {out}, and {ROOM / 1e9:.0f} are needed.")
    with tempfile.TemporaryDirectory(dir=out, prefix=".bundle-") as scratch:
        folder = Path(scratch) / "wheels"
        folder.mkdir()
        pins, build = tree.pins(target), tree.build_requirements()
        fetch(folder, target, pins, build)
        if wrong := problems(folder, target, pins + build):
            raise BundleError("the wheels do not fit the lock:\n  " + "\n  ".join(wrong))
        name = f"simplex-lab-{tree.version}-{tree.commit[:7]}-py{target.python}-{target.platform}.tar.gz"
        pack(Path(scratch) / name, tree, manifest(folder, target, tree), folder)
        return (Path(scratch) / name).replace(out / name)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bundle", description=__doc__.splitlines()[0])
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    parser.add_argument("--python", default=here, help=f"the learners' Python (default: {here}, the one that runs this)")
    parser.add_argument(
        "--platform", default=bootstrap.this_platform(), choices=PLATFORMS, help="the learners' machines (default: as this)"
    )
    parser.add_argument("--commit", default="HEAD", help="commit or tag (default: HEAD); what is not committed is not in the bundle")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the archive (default: dist)")
    args = parser.parse_args(argv)
    if args.platform not in PLATFORMS:  # argparse lets a default pass
        parser.error(f"the lock has no builds for {args.platform}: say --platform, one of {', '.join(PLATFORMS)}")
    if not re.fullmatch(r"3\.\d+", args.python):
        parser.error(f"--python {args.python}: write it as 3.12")
    start, target = time.time(), Target(args.python, args.platform)
    print(f"Fetching the wheels of the lock for {target}", flush=True)
    try:
        archive = make(ROOT, target, args.commit, args.out)
    except BundleError as error:
        print(f"\nNo bundle: {error}", file=sys.stderr)
        return 1
    print(f"{archive}  ({archive.stat().st_size / 1e6:.0f} MB, {time.time() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
