"""Links follow from one key; Binder, the devcontainer and Colab's cell get what the lock and pyproject.toml say."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from test_environment import ENVIRONMENT, POSIX, PYPROJECT, bootstrap, python_range

from tools import run_links
from tools.run_links import Repository

ROOT = Path(__file__).resolve().parent.parent
MADE_UP = Repository("owner", "some-course", "main")
NOTEBOOK = "chapters/03_trilinear_attention.ipynb"
DEVCONTAINER = (ROOT / ".devcontainer/devcontainer.json").read_text()
REPO2DOCKER = "jupyter-repo2docker==2026.4.0"


def project(folder, key=""):
    """A copy of what the tool reads and writes, with this table in pyproject.toml in place of the course's own."""
    for name in ("README.md", "workshop/environments.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "chapters").mkdir()
    for path in (ROOT / "chapters").glob("[0-9]*.ipynb"):
        (folder / "chapters" / path.name).touch()
    own = re.sub(r"^\[tool\.simplex-lab\]\n(?:(?!\[).*\n)*", "", PYPROJECT, flags=re.M)
    (folder / "pyproject.toml").write_text(own + key)
    return folder


def named(address, branch=""):
    return f'\n[tool.simplex-lab]\nrepository = "{address}"\n' + (f'branch = "{branch}"\n' if branch else "")


# The key


@pytest.mark.parametrize("key", ["", "\n[tool.simplex-lab]\n", '\n[tool.simplex-lab]\nbranch = "main"\n', named("")])
def test_unset_there_is_no_repository(tmp_path, key):
    assert run_links.repository(project(tmp_path, key)) is None


@pytest.mark.parametrize(
    ("key", "repo"),
    [
        (named("https://github.com/owner/some-course"), MADE_UP),
        (named("https://github.com/owner/some-course.git"), MADE_UP),
        (named("https://github.com/owner/some-course/", "workshop-2027-01-01"), Repository("owner", "some-course", "workshop-2027-01-01")),
    ],
)
def test_the_key_names_a_repository(tmp_path, key, repo):
    assert run_links.repository(project(tmp_path, key)) == repo
    assert repo.address == "https://github.com/owner/some-course"


@pytest.mark.parametrize("address", ["owner/some-course", "https://example.org/owner/x", "https://github.com/owner", "git@github.com:o/n"])
def test_another_address_is_refused(tmp_path, address):
    with pytest.raises(ValueError, match=r"is not https://github\.com/OWNER/NAME"):
        run_links.repository(project(tmp_path, named(address)))


# The links


def test_unset_every_link_is_empty():
    assert run_links.binder(None, NOTEBOOK) == run_links.colab(None, NOTEBOOK) == run_links.nbgitpuller(None, "https://h", NOTEBOOK) == ""


def test_links_of_a_made_up_repository():
    assert run_links.binder(MADE_UP, NOTEBOOK) == f"https://mybinder.org/v2/gh/owner/some-course/main?urlpath=lab/tree/{NOTEBOOK}"
    assert run_links.colab(MADE_UP, NOTEBOOK) == f"https://colab.research.google.com/github/owner/some-course/blob/main/{NOTEBOOK}"
    link = urlsplit(run_links.nbgitpuller(MADE_UP, "https://hub.example.org/", NOTEBOOK))
    assert (link.netloc, link.path) == ("hub.example.org", "/hub/user-redirect/git-pull")
    assert parse_qs(link.query) == {"repo": [MADE_UP.address], "branch": ["main"], "urlpath": [f"lab/tree/some-course/{NOTEBOOK}"]}


def test_the_files_are_as_pyproject_says():
    assert run_links.main(["--check"]) == 0


def test_unset_the_files_have_no_link_and_the_cell_a_gap(tmp_path):
    root = project(tmp_path)
    assert run_links.main(["--root", str(root)]) == 0
    begin, end = run_links.marks("run links")
    assert f"{begin}\n{end}\n" in (root / "README.md").read_text()
    page = (root / "workshop/environments.md").read_text()
    assert '"--branch", "main", "[address]", course]' in page
    for host in ("mybinder.org/v2", "colab.research.google.com/github", "git-pull?repo"):
        assert host not in page + (root / "README.md").read_text()


def test_set_the_files_get_their_links_and_lose_them_again(tmp_path):
    root = project(tmp_path)
    files, key = [root / "README.md", root / "workshop/environments.md"], root / "pyproject.toml"
    unset = key.read_text()
    run_links.main(["--root", str(root)])
    before = [path.read_text() for path in files]

    key.write_text(unset + named(MADE_UP.address))
    assert run_links.main(["--check", "--root", str(root)]) == 1
    assert [path.read_text() for path in files] == before, "--check wrote"
    assert run_links.main(["--root", str(root)]) == 0
    assert run_links.main(["--check", "--root", str(root)]) == 0
    readme, page = (path.read_text() for path in files)
    for path in (ROOT / "chapters").glob("[0-9]*.ipynb"):
        for link in (run_links.binder, run_links.colab):
            assert f"[{path.name[:2]}]({link(MADE_UP, f'chapters/{path.name}')})" in readme
    assert run_links.nbgitpuller(MADE_UP, run_links.HUB, run_links.FIRST) in page
    assert f'"{MADE_UP.address}", course]' in page

    key.write_text(unset)
    assert run_links.main(["--root", str(root)]) == 0
    assert [path.read_text() for path in files] == before


def test_missing_marks_are_a_finding(tmp_path, capsys):
    root = project(tmp_path)
    (root / "README.md").write_text("no marks\n")
    assert run_links.main(["--check", "--root", str(root)]) == 1
    assert "README.md: the marks <!-- run links: made by tools/run_links.py -->" in capsys.readouterr().out


def test_a_hub_gets_its_link_and_unset_a_sentence(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    (tmp_path / "unset").mkdir()
    assert (
        run_links.main(["--hub", "https://hub.example.org", NOTEBOOK, "--root", str(project(tmp_path / "set", named(MADE_UP.address)))])
        == 0
    )
    assert capsys.readouterr().out.strip() == run_links.nbgitpuller(MADE_UP, "https://hub.example.org", NOTEBOOK)
    assert run_links.main(["--hub", "https://hub.example.org", "--root", str(project(tmp_path / "unset"))]) == 1
    assert "names no repository yet" in capsys.readouterr().err


# The cell for Colab


def fake(versions):
    def found(name):
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    return found


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"torch": "2.11.0+cu128", "triton": "3.6.0"}, ["torch 2.11.0+cu128 is one that the course supports", "triton 3.6.0 is one that"]),
        ({"torch": "2.10.1+cu128", "triton": "3.6.0"}, ["torch 2.10.1+cu128 is not one", "Runtime > Change runtime type"]),
        ({"torch": "2.16.0rc1", "triton": "3.10.0"}, ["torch 2.16.0rc1 is not one", "triton 3.10.0 is not one"]),
        ({"torch": "2.12.0a0+git12ab"}, ["torch 2.12.0a0+git12ab is one", "triton is missing", "07-10 choose a GPU"]),
    ],
)
def test_what_the_cell_says_about_versions(versions, said):
    text = run_links.advice(found=fake(versions))
    assert [words for words in said if words not in text] == []


def test_every_bound_of_torch_and_triton_is_understood():
    lines = [line for line in tomllib.loads(PYPROJECT)["project"]["dependencies"] if re.match("(torch|triton)[^a-z]", line)]
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch(r"(torch|triton)>=[\d.]+,<[\d.]+(; .*)?", line)


def test_the_cell_installs_no_torch(monkeypatch):
    monkeypatch.setattr(run_links, "find_spec", lambda name: None)
    everything = run_links.missing()
    assert set(everything) >= {"jaxtyping", "numpy", "matplotlib", "ipywidgets"}
    assert not {"torch", "triton", "jupyterlab"} & set(everything)
    cell = run_links.colab_cell(MADE_UP.address)
    assert '"--no-deps", "-e", course' in cell
    assert "==" not in cell
    compile(cell, "cell", "exec")


# Binder and the devcontainer


def devcontainer_problems(devcontainer, environment, pyproject, index):
    """What a maintainer would have to repair, in words."""
    told, problems = json.loads(devcontainer), []
    conda = next(entry for entry in yaml.safe_load(environment)["dependencies"] if str(entry).startswith("python="))
    image, _, version = told["image"].rpartition(":")
    if image != "mcr.microsoft.com/devcontainers/python" or conda != f"python={version}" or not python_range(pyproject).contains(version):
        problems.append(f"image {told['image']}: environment.yml says {conda}")
    if told.get("containerEnv") != {"TORCH_INDEX": index}:
        problems.append(f"containerEnv: the CPU index is {index}")
    if told.get("postCreateCommand") != "make setup" or "features" in told:
        problems.append("the packages are installed by make setup, which takes the lock")
    if "==" in devcontainer:
        problems.append("a version outside of the lock")
    return problems


def test_the_devcontainer_follows_the_others():
    assert devcontainer_problems(DEVCONTAINER, ENVIRONMENT, PYPROJECT, bootstrap().CPU_INDEX) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("python:3.11", "python:3.12", "environment.yml says python=3.11"),
        ("whl/cpu", "whl/cu128", "the CPU index is"),
        ("make setup", "pip install torch==2.13.0", "a version outside"),
        ("make setup", "pip install -e .", "by make setup"),
        ('"forwardPorts"', '"features": {}, "forwardPorts"', "by make setup"),
    ],
)
def test_a_spoilt_devcontainer_is_found(old, new, problem):
    assert DEVCONTAINER.count(old) == 1
    spoilt = DEVCONTAINER.replace(old, new)
    assert any(problem in found for found in devcontainer_problems(spoilt, ENVIRONMENT, PYPROJECT, bootstrap().CPU_INDEX))


def test_one_cpu_index_everywhere():
    index = bootstrap().CPU_INDEX
    pip = next(entry["pip"] for entry in yaml.safe_load(ENVIRONMENT)["dependencies"] if isinstance(entry, dict))
    assert [line for line in pip if line.startswith("--")] == [f"--extra-index-url {index}"]
    for name in (
        "workshop/environments.md",
        "README.md",
        "workshop/preflight_mail.md",
        ".github/workflows/ci.yml",
        ".github/workflows/newest.yml",
    ):
        found = set(re.findall(r"https://download\.pytorch\.org/whl/\w+", (ROOT / name).read_text()))
        assert found == {index}, name


# Slow: these install something


def or_skip(done, required):
    """What a command printed; without a network a skip that says so, or a failure where the variable ``required`` is set."""
    text = done.stdout + done.stderr
    if done.returncode and re.search(bootstrap().NO_NETWORK, text, re.I):
        message = f"NOT TESTED: the package index cannot be reached ({required}=1 makes this a failure)"
        pytest.fail(message) if os.environ.get(required) else pytest.skip(message)
    assert done.returncode == 0, text
    return text


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **options)


def new_environment(folder):
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    return folder / "bin"


@POSIX
@pytest.mark.slow
def test_repo2docker_reads_the_course(tmp_path):
    binaries = new_environment(tmp_path / "environment")
    or_skip(run(binaries / "python", "-m", "pip", "install", "-q", REPO2DOCKER), "REQUIRE_REPO2DOCKER")
    done = run(binaries / "jupyter-repo2docker", "--no-build", "--debug", ".", cwd=ROOT)
    recipe = done.stdout + done.stderr
    assert done.returncode == 0, recipe
    python = re.search(r"python=(3\.\d+)", ENVIRONMENT)[1]
    assert f"Building conda environment for python={python}" in recipe
    # The whole course must be there before the packages are installed: `-r requirements.lock` and `-e .` lie in it.
    update = recipe.index('env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"')
    assert re.search(r"^COPY .* src/ \$\{REPO_DIR\}/$", recipe[:update], re.M)


def without_course(folder):
    """The packages of this environment, as a folder of links, without the course and without what Colab lacks."""
    import torch

    folder.mkdir()
    for path in Path(torch.__file__).resolve().parent.parent.iterdir():
        hidden = path.name.startswith(("simplex_lab", "simplex_kernels", "_editable", "__editable", "jaxtyping", "wadler_lindig", "pip"))
        if not hidden and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
    return folder


AFTER = """
import os, simplex_kernels, simplex_lab
from simplex_lab import checks
print("FOLDER", os.getcwd())
print("FROM", simplex_lab.__file__, simplex_kernels.__file__)
print("PASSED", checks.run("03.2", checks._own_answer(checks.find("03.2"))).passed)
"""


@POSIX
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="the cell clones a repository")
def test_the_cell_brings_the_course(tmp_path):
    course = tmp_path / "course"
    for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, course / name)
    for command in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "-qm", "x"),
    ):
        assert run("git", *command, cwd=course).returncode == 0
    binaries = new_environment(tmp_path / "colab")
    (site,) = (tmp_path / "colab/lib").glob("python*/site-packages")
    (site / "packages.pth").write_text(f"{without_course(tmp_path / 'packages')}\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "cell.py").write_text(run_links.colab_cell(str(course)) + AFTER)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRITON_"))} | {"HOME": str(home)}
    found = "import importlib.util as u; print(u.find_spec('simplex_lab'), u.find_spec('jaxtyping'))"
    before = run(binaries / "python", "-c", found, cwd=home, env=environment)
    assert before.stdout.split() == ["None", "None"], before.stderr

    printed = or_skip(run(binaries / "python", "cell.py", cwd=home, env=environment), "REQUIRE_COLAB_CELL")
    clone = home / "simplex-lab"
    assert "PASSED True" in printed
    assert f"FOLDER {clone / 'chapters'}" in printed
    assert f"FROM {clone / 'simplex_lab/__init__.py'} {clone / 'kernels/simplex_kernels/__init__.py'}" in printed
    assert len(re.findall(r"is one that the course supports", printed)) == 2
    assert (binaries / "simplex-lab").exists()
    installed = {path.name for path in site.iterdir()}
    assert any(name.startswith("jaxtyping") for name in installed)
    assert not [name for name in installed if name.startswith(("torch", "triton", "nvidia", "numpy"))]
