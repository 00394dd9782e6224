"""Is this machine ready for the course? `doctor()` prints one line for each check: OK, WARN or FAIL, what was found, what to do.

Each check is a function of the facts it judges, gathered at the foot of the file, so that a test can hand it other facts. Triton is
tried in a process of its own: a notebook that runs the doctor must stay free to set TRITON_INTERPRET before its own first import.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
PROBE = (sys.executable, "-m", "simplex_lab.doctor_kernel")
PROBE_SECONDS = 60
NO_TRITON = "chapters 00-06 and 11-13 work, 07-10 show stored results; to run those too use WSL, a Linux machine or Colab"
GB = 1e9


class Line(NamedTuple):
    status: str  # OK, WARN or FAIL
    name: str
    text: str

    def __str__(self):
        return f"{self.status:<4}  {self.name:<8}  {self.text}"


def check_python(version=sys.version_info):
    found = ".".join(str(part) for part in version[:3])
    if tuple(version[:2]) < (3, 11):
        return Line("FAIL", "python", f"{found}; 3.11 or newer is needed: install one, then make setup PYTHON=python3.12")
    return Line("OK", "python", found)


def read_lock(text, platform=sys.platform):
    """{name: version} of the lock's lines that apply to this platform."""
    pins = {}
    for line in text.splitlines():
        found = re.fullmatch(r"([\w.-]+)==([^\s;]+)(?:; sys_platform == '(\w+)')?", line.strip())
        if found and found[3] in (None, platform):
            pins[plain(found[1])] = found[2]
    return pins


def check_packages(lock, installed, needed):
    """lock: the text of requirements.lock or None. installed: {name: version}. needed: names without which chapters do not run."""
    if lock is None:
        return Line(
            "WARN", "packages", "no requirements.lock beside the package, so versions were not compared; work from a clone to have it"
        )
    pins = read_lock(lock)
    # A build's local tag (2.13.0+cpu) does not make another version of it.
    other = [
        f"{name} {installed[name]} (lock: {pin})"
        for name, pin in pins.items()
        if name in installed and installed[name].split("+")[0] != pin
    ]
    missing = [name for name in pins if name not in installed]
    vital = sorted(set(missing) & needed)
    if vital:
        return Line("FAIL", "packages", f"missing: {few(vital)}; run make setup")
    if other or missing:
        what = [f"other versions than the lock: {few(other)}"] * bool(other) + [f"missing: {few(missing)}"] * bool(missing)
        return Line("WARN", "packages", f"{', '.join(what)}; chapters may still work, make setup brings the tested set")
    return Line("OK", "packages", f"{len(pins)}, all as in requirements.lock")


def check_torch(facts):
    """facts: version, built_for (CUDA version or None), device (GPU name or None), threads, driver (an NVIDIA driver is here); or error."""
    if "error" in facts:
        return Line("FAIL", "torch", f"import torch fails: {facts['error']}; run make setup")
    found = f"{facts['version']}, {facts['threads']} threads"
    if facts["device"]:
        return Line("OK", "torch", f"{found}, CUDA {facts['built_for']} on {facts['device']}")
    if facts["driver"]:
        why = "the NVIDIA driver may be too old" if facts["built_for"] else "this torch is a CPU build"
        return Line("WARN", "torch", f"{found}, CPU: a GPU driver is here, but torch sees no GPU; {why}. Every chapter works on the CPU")
    return Line("OK", "torch", f"{found}, CPU (no GPU: none is needed)")


def check_triton(platform, probe):
    """probe: (exit status, stdout, stderr) of the doctor's kernel, or None if it did not end in time."""
    if platform != "linux":
        return Line("WARN", "triton", f"exists for Linux only: {NO_TRITON}")
    if probe is None:
        return Line(
            "FAIL", "triton", f"the test kernel did not end within {PROBE_SECONDS} s; close other programs and run the doctor again"
        )
    status, stdout, stderr = probe
    if status:
        return Line("FAIL", "triton", f"the test kernel did not run: {last_line(stderr)}; {triton_advice(stderr)}")
    try:
        facts = json.loads(stdout)
    except ValueError:
        return Line("FAIL", "triton", f"the test kernel ended without a result: {last_line(stdout)}; run make setup")
    where = "on the GPU" if facts["device"] == "cuda" else "in the interpreter (CPU)"
    if facts["wrong"]:
        wrong = f"{facts['wrong']} of {facts['of']} numbers wrong"
        return Line("FAIL", "triton", f"{facts['triton']}, a kernel run {where} gave {wrong}; make setup brings the tested versions")
    return Line("OK", "triton", f"{facts['triton']}, a kernel run {where} gave {facts['of']} right numbers")


def triton_advice(stderr):
    if "No module named" in stderr:
        return "run make setup"
    if "C compiler" in stderr or "Python.h" in stderr:
        return "on a GPU Triton needs a C compiler and Python's headers: apt-get install gcc python3-dev"
    if "only 0-dimensional arrays" in stderr:
        return "this Triton does not know this NumPy: make setup brings versions that fit"
    return "make setup brings the tested versions"


def check_widgets(installed):
    python, browser = installed.get("ipywidgets"), installed.get("jupyterlab-widgets")
    if not python or not browser:
        missing = " and ".join(name for name, found in (("ipywidgets", python), ("jupyterlab_widgets", browser)) if not found)
        return Line("FAIL", "widgets", f"{missing} not installed, so sliders do not show; run make setup")
    found = f"ipywidgets {python}, jupyterlab_widgets {browser}"
    if (python.split(".")[0], browser.split(".")[0]) != ("8", "3"):
        return Line("WARN", "widgets", f"{found}: the course was tested with 8 and 3, sliders may not show; run make setup")
    return Line("OK", "widgets", found)


def check_memory(free):
    """free: bytes that a new process may take, or None if nothing could tell."""
    if free is None:
        return Line("WARN", "memory", "not measured: psutil is not installed; run make setup")
    return by_limit("memory", free, warn=2 * GB, fail=0.7 * GB, todo="close other programs and notebooks; a chapter takes 0.3 to 1 GB")


def check_disk(free):
    return by_limit("disk", free, warn=1 * GB, fail=0.1 * GB, todo="make room, or your answers may not be saved")


def by_limit(name, free, warn, fail, todo):
    status = "FAIL" if free < fail else "WARN" if free < warn else "OK"
    return Line(status, name, f"{free / GB:.1f} GB free" + (f"; {todo}" if status != "OK" else ""))


def check_fonts(facts):
    """facts: matplotlib (its version) and found (DejaVu Sans is there); or error."""
    if "error" in facts:
        return Line("FAIL", "fonts", f"import matplotlib fails: {facts['error']}; run make setup")
    if not facts["found"]:
        return Line(
            "WARN", "fonts", "matplotlib does not find DejaVu Sans, which ships with it: symbols in figures may be missing; run make setup"
        )
    return Line("OK", "fonts", f"DejaVu Sans, with matplotlib {facts['matplotlib']}")


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def few(names):
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def last_line(text):
    """The last line of an error message, folders taken out of its paths: notebooks store what the doctor prints."""
    lines = text.strip().splitlines() or ["no message"]
    return re.sub(r"(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\":]+)+[/\\]", "", lines[-1])[:200]


def lock_text():
    path = PROJECT / "requirements.lock"
    return path.read_text(encoding="utf-8") if path.exists() else None


def installed_packages():
    return {plain(found.name): found.version for found in importlib.metadata.distributions() if found.name}


def needed_packages():
    """What the project needs to run and to show its notebooks: its dependencies and the extra `lab`."""
    try:
        wanted = importlib.metadata.requires("simplex-lab") or []
    except importlib.metadata.PackageNotFoundError:  # run from a clone that nobody installed
        return set()
    return {plain(re.match(r"[\w.-]+", line)[0]) for line in wanted if "extra ==" not in line or re.search(r"extra == ['\"]lab", line)}


def torch_facts():
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library is missing
        return {"error": last_line(str(error))}
    return {
        "version": torch.__version__,
        "built_for": torch.version.cuda,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "driver": bool(shutil.which("nvidia-smi")),
    }


def font_facts():
    try:
        import matplotlib
        from matplotlib import font_manager
    except ImportError as error:
        return {"error": last_line(str(error))}
    try:
        font_manager.findfont("DejaVu Sans", fallback_to_default=False)
    except ValueError:
        return {"matplotlib": matplotlib.__version__, "found": False}
    return {"matplotlib": matplotlib.__version__, "found": True}


def free_memory(cgroup=Path("/sys/fs/cgroup")):
    """Free memory of the machine, or of the container where that has a lower limit (Binder)."""
    try:
        import psutil
    except ImportError:
        return None
    free = psutil.virtual_memory().available
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int(re.search(r"^anon (\d+)", (cgroup / "memory.stat").read_text(), re.M)[1])
    except (OSError, ValueError, TypeError):  # no such file, "max", no such line: no limit that we can read
        return free
    return min(free, limit - used)


def start_probe(command=PROBE):
    # From the project's folder: `-m simplex_lab...` must not find a learner's own file of that name, nor fail in a deleted folder.
    return subprocess.Popen(command, cwd=PROJECT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_probe(process):
    try:
        stdout, stderr = process.communicate(timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return process.returncode, stdout, stderr


def doctor(*, out=print):
    """Print one line a check; False if any of them is FAIL. Takes about 5 s, most of it the Triton kernel."""
    # Started first, so that it runs while the other checks do.
    probe = start_probe() if sys.platform == "linux" else None
    installed = installed_packages()
    lines = [
        check_python(),
        check_packages(lock_text(), installed, needed_packages()),
        check_torch(torch_facts()),
        check_widgets(installed),
        check_memory(free_memory()),
        check_disk(shutil.disk_usage(PROJECT).free),
        check_fonts(font_facts()),
    ]
    lines.insert(3, check_triton(sys.platform, end_probe(probe) if probe else None))
    for line in lines:
        out(str(line))
    return all(line.status != "FAIL" for line in lines)
