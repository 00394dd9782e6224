"""Make the project's environment: `python3 tools/bootstrap.py [folder]`, or `make setup`. Standard library only.

The syntax stays within Python 3.6, so that a Python that is too old still gets as far as saying so.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
CANDIDATES = ("python3.12", "python3.11", "python3.13", "python3.14")
FRESH_BYTES = 2.5e9
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
WHEELS = os.path.join(ROOT, "wheels")
QUIET_LAB = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}

NO_NETWORK = (
    "NewConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded|Connection refused|Connection reset|Connection aborted|timed out"
    "|Network is unreachable|No route to host|ProxyError|Name or service not known|name resolution|getaddrinfo|nodename nor servname"
    "|CERTIFICATE_VERIFY_FAILED|SSLError"
)
DISK_FULL = r"No space left on device|Errno 28|Disk quota exceeded|not enough space on the disk"

DISK_ADVICE = (
    "The environment takes about 2.5 GB with PyTorch's CPU build and several GB more with its CUDA build; pip also unpacks in the "
    "temporary folder (set TMPDIR to use another). Free some space, then run the same command again."
)


class SetupError(Exception):
    """What went wrong and what to do, in one paragraph for the learner."""


def dotted(version):
    return ".".join(str(part) for part in version)


def runs(name):
    """Whether this Python is on the PATH and starts (a pyenv shim may do the first only)."""
    return bool(shutil.which(name)) and subprocess.call([name, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def check_python(version, runs=runs):
    if tuple(version[:2]) >= OLDEST:
        return
    found = next((name for name in CANDIDATES if runs(name)), None)
    advice = f"{found} is on this machine, so say" if found else "install one, or say which to use"
    raise SetupError(
        f"Python {dotted(OLDEST)} or newer is needed, this is {dotted(version[:3])}: {advice}: make lab PYTHON={found or 'python3.12'}"
    )


def this_platform():
    """'linux-x86_64', 'macos-arm64', 'windows-x86_64': how an offline bundle names what it is for."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return system + "-" + {"amd64": "x86_64"}.get(machine, machine)


def bundle():
    """What tools/bundle.py wrote beside the wheels of an offline bundle; None in a clone, which has no wheels."""
    try:
        with open(os.path.join(WHEELS, "manifest.json"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None
    except ValueError:
        raise SetupError(damaged("manifest.json")) from None


def damaged(name):
    return f"wheels/{name} is not as it was packed, or is missing: copy the bundle anew and unpack it again."


def check_bundle(manifest, python, here, runs=runs):
    """python: of the environment, '3.11'. here: this_platform()."""
    wanted = "python" + manifest["python"]
    if here != manifest["platform"]:
        advice = "get the one for this machine, or connect and delete its folder wheels"
    elif python == manifest["python"]:
        return
    elif runs(wanted):
        advice = f"say make lab PYTHON={wanted} (without make: {wanted} tools/bootstrap.py --this-python)"
    else:
        advice = f"install Python {manifest['python']}, or get the bundle for Python {python}"
    raise SetupError(
        f"This bundle is for Python {manifest['python']} on {manifest['platform']}, here is Python {python} on {here}: {advice}."
    )


def check_wheels(manifest):
    """Each wheel is there, as it was packed."""
    for name, expected in sorted(manifest["wheels"].items()):
        try:
            found = sha256(os.path.join(WHEELS, name))
        except FileNotFoundError:
            found = None
        if found != expected:
            raise SetupError(damaged(name))


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def explain(output):
    """One paragraph for a pip run that failed, from what pip printed."""
    if re.search(DISK_FULL, output, re.I):
        return "The disk is full. " + DISK_ADVICE
    if re.search(NO_NETWORK, output, re.I):
        return (
            "pip could not reach the package index: no network, or a proxy or firewall in between. Connect and run the same command "
            "again; behind a proxy set HTTPS_PROXY, with a mirror PIP_INDEX_URL. Only this set-up needs the network, the course does not."
        )
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing and bundle():
        return (
            f"The bundle has no build of {missing.group(1)} that this machine takes; on Linux it needs glibc 2.28 or newer, not "
            "musl. Connect, delete the folder wheels and run the same command again."
        )
    if missing:
        return (
            f"pip found no build of {missing.group(1)} for Python {dotted(sys.version_info[:2])} on this machine ({sys.platform}). The "
            "lock has builds for Python 3.11 to 3.14 on Linux, Windows and Apple-silicon macOS: try another Python (make lab "
            "PYTHON=python3.12). If you set TORCH_INDEX or PIP_INDEX_URL, look whether it serves this package."
        )
    last = [line for line in output.strip().splitlines() if line.strip()][-12:]
    return "pip failed. Its last lines:\n  " + "\n  ".join(last)


def run(command):
    """Run a command from the project's folder; its output and exit status. On a terminal the current line shows that it lives."""
    show = sys.stdout.isatty()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, errors="replace"
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if show:
            sys.stdout.write("\r\033[K  " + line.strip()[:76])
            sys.stdout.flush()
    if show:
        sys.stdout.write("\r\033[K")
    return process.wait(), "".join(lines)


class Environment:
    """One virtual environment of the project, and the stamp that says it is finished."""

    def __init__(self, folder):
        self.folder = os.path.realpath(folder)
        self.bin = os.path.join(self.folder, "Scripts" if os.name == "nt" else "bin")
        self.python = os.path.join(self.bin, "python.exe" if os.name == "nt" else "python")
        self.stamp = os.path.join(self.folder, ".ready")

    def version(self):
        """'3.11' as pyvenv.cfg has it, or '' where there is no environment."""
        try:
            with open(os.path.join(self.folder, "pyvenv.cfg")) as f:
                found = re.search(r"^version\w* *= *(\d+\.\d+)", f.read(), re.M)
        except OSError:
            found = None
        return found.group(1) if found else ""

    def wanted_stamp(self):
        """A hash of all that the environment was made from; moving the folder changes it, since pip's scripts hold the old path."""
        digest = hashlib.sha256(repr((self.version(), self.folder, ROOT)).encode())
        for name in ("requirements.lock", "pyproject.toml"):
            with open(os.path.join(ROOT, name), "rb") as f:
                digest.update(f.read())
        return digest.hexdigest()

    def ready(self):
        try:
            with open(self.stamp) as f:
                return f.read() == self.wanted_stamp() and os.path.exists(self.python)
        except OSError:
            return False

    def healthy(self):
        """Whether pip runs in it, and its scripts were made for this very folder."""
        try:
            alive = subprocess.call([self.python, "-c", "import pip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
            if os.name == "nt":
                return alive
            with open(os.path.join(self.bin, "pip"), errors="replace") as f:
                return alive and self.bin in f.read(2000)
        except OSError:
            return False

    def create(self):
        if os.path.isdir(self.folder):
            if os.listdir(self.folder) and not self.version():
                raise SetupError(
                    f"{self.folder} exists, is not empty and is no Python environment, so it stays as it is. Name another folder, or move "
                    "it away."
                )
            if os.path.realpath(sys.prefix) == self.folder:
                raise SetupError(
                    "The environment has to be made again, and this Python is the one inside it. Leave it (deactivate), then run the same "
                    "command again."
                )
            shutil.rmtree(self.folder)
        free = shutil.disk_usage(os.path.dirname(self.folder)).free
        if free < FRESH_BYTES:
            raise SetupError(f"Only {free / 1e9:.1f} GB of disk are free. {DISK_ADVICE}")
        status, output = run([sys.executable, "-m", "venv", self.folder])
        if status:
            shutil.rmtree(self.folder, ignore_errors=True)
            if re.search(r"ensurepip|No module named '?venv|python3-venv", output):
                raise SetupError(
                    "This Python cannot make environments: its venv module is missing. On Debian and Ubuntu install it with "
                    f"'apt-get install python{dotted(sys.version_info[:2])}-venv' (or python3-venv), elsewhere take a full Python from "
                    "python.org or conda; then run the same command again."
                )
            raise SetupError(explain(output).replace("pip failed", "python -m venv failed"))

    def pip_install(self, *args):
        if bundle():
            args = ("--no-index", "--find-links", "wheels", *args)
        status, output = run([self.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *args])
        if status:
            raise SetupError(explain(output))

    def quiet_jupyterlab(self):
        """No news and no update pop-up: nothing in this environment calls out on its own."""
        folder = os.path.join(self.folder, "share", "jupyter", "lab", "settings")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "overrides.json"), "w") as f:
            json.dump(QUIET_LAB, f, indent=2)


def torch_pin():
    with open(os.path.join(ROOT, "requirements.lock"), encoding="utf-8") as f:
        return re.search(r"^torch==[^\s;]+", f.read(), re.M).group(0)


def step(text, action, *args):
    start = time.time()
    action(*args)
    print(f"  {text:<50} {time.time() - start:5.1f} s", flush=True)


def notes():
    """What to know about this machine before the download starts."""
    if sys.platform != "linux":
        print(
            "Note: Triton exists for Linux only. Chapters 00-06 and 11-13 work here; 07-10 show their stored results. To run those too,\n"
            "use WSL (Windows), a Linux machine or Google Colab."
        )
    elif not bundle() and not os.environ.get("TORCH_INDEX") and not shutil.which("nvidia-smi"):
        print(
            "Note: no NVIDIA GPU seen. If pip starts to fetch gigabytes of CUDA packages, stop it (Ctrl-C) and take PyTorch's CPU build:\n"
            f"make setup TORCH_INDEX={CPU_INDEX}"
        )


def bootstrap(folder, this_python=False):
    environment = Environment(folder)
    wrong_python = this_python and environment.version() != dotted(sys.version_info[:2])
    if environment.ready() and not wrong_python:
        print(f"Environment is ready (Python {environment.version()}).")
        return
    again = wrong_python or not environment.healthy()
    manifest = bundle()
    if manifest:
        check_bundle(manifest, dotted(sys.version_info[:2]) if again else environment.version(), this_platform())
    check_python(sys.version_info)
    start = time.time()
    how = "a minute or two from the folder wheels, without a network" if manifest else "about a minute with a fast network"
    print(f"Setting up the environment: {how}, later runs take no time.", flush=True)
    notes()
    if os.path.exists(environment.stamp):
        os.remove(environment.stamp)
    if manifest:
        step("compare the wheels with their SHA-256", check_wheels, manifest)
    if again:
        verb = "create it again" if environment.version() else "create it"
        step(f"{verb} with Python {dotted(sys.version_info[:2])}", environment.create)
    index = os.environ.get("TORCH_INDEX")
    if index and not manifest:
        # --no-deps: that index carries old copies of torch's own dependencies; the lock brings the right ones.
        step(f"install {torch_pin()} from TORCH_INDEX", environment.pip_install, "--no-deps", "--index-url", index, torch_pin())
    step("install requirements.lock", environment.pip_install, "-r", "requirements.lock")
    step("install the project itself (editable)", environment.pip_install, "--no-deps", "-e", ".")
    step("JupyterLab: no news, no update pop-up", environment.quiet_jupyterlab)
    with open(environment.stamp, "w") as f:
        f.write(environment.wanted_stamp())
    print(f"Environment is ready (Python {environment.version()}), after {time.time() - start:.0f} s.")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Make the project's Python environment, or do nothing if it is ready.")
    parser.add_argument("folder", nargs="?", default=os.path.join(ROOT, ".venv"), help="where it goes (default: .venv in the project)")
    parser.add_argument("--this-python", action="store_true", help="make it again if it was made with another Python than this one")
    args = parser.parse_args(argv)
    try:
        bootstrap(args.folder, args.this_python)
    except SetupError as error:
        print(f"\nSet-up stopped. {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up was interrupted. Run the same command again: it goes on from here.", file=sys.stderr)
        return 1
    except OSError as error:
        full = re.search(DISK_FULL, str(error), re.I)
        print(f"\nSet-up stopped. {explain(str(error)) if full else error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
