"""A process for a submission: little time, memory, room and no network, and nothing of it is left afterwards.

On Linux with user namespaces the process sees no network and no other process, its files are read-only but for a small scratch folder in
memory, and everything it started dies with it. Elsewhere only the limits hold: what that does not stop is in the teacher's notes.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from simplex_lab.grading import wire

# run as root of a namespace of its own: everything read-only, then a small folder in memory, then the command
ISOLATE = """
awk '$4 ~ /^rw/ && $3 !~ /^(proc|sysfs|cgroup2?|devpts|devtmpfs|mqueue)$/ {print $2}' /proc/self/mounts |
while read -r at; do mount -o remount,bind,ro "$at" 2>/dev/null; done
mount -t tmpfs -o "size=$2,nr_inodes=$3" scratch "$1" && mount -t proc proc /proc 2>/dev/null
cd "$1" && shift 3 && exec "$@"
"""
UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--ipc", "--mount", "--pid", "--fork", "--kill-child")
POLL = 0.05  # seconds between two looks at a process
PATIENCE = 20.0  # seconds to wait for what was killed


@dataclass(frozen=True)
class Limits:
    """What one submission may use. ``processes`` and ``room`` hold for all that it starts together, ``memory`` for each process."""

    seconds: float = 240.0  # from start to end
    cell_seconds: float = 30.0  # a cell is stopped after so long, and the next one runs
    memory: int = 6 << 30  # bytes of address space
    processes: int = 64
    room: int = 64 << 20  # bytes in the scratch folder
    files: int = 2000


class _Process(NamedTuple):
    """A process as /proc tells of it; with the tick at which it started, its number is unique."""

    state: str
    parent: int
    session: int
    started: int


class Stopped(Exception):
    """The process is gone or had to be ended; the message says why."""


@functools.cache
def isolated() -> bool:
    """Are there namespaces here?"""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        command = [*UNSHARE, "sh", "-c", ISOLATE, "sh", scratch, "1m", "10", "touch", "it-works"]
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0


class Sandbox:
    """A running ``command`` that talks in frames; used as a context manager, at whose end nothing of it is left."""

    def __init__(self, command: Sequence[str], limits: Limits):
        self.limits, self.began, self.looked = limits, time.monotonic(), 0.0
        self.folder = Path(tempfile.mkdtemp(prefix="simplex-grade-"))
        (theirs_in, self.out), (self.into, theirs_out) = os.pipe(), os.pipe()
        command = [*command, str(theirs_in), str(theirs_out)]
        if isolated():
            command = [*UNSHARE, "sh", "-c", ISOLATE, "sh", str(self.folder), str(limits.room), str(limits.files), *command]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=_environment(self.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out),
            start_new_session=True,
            preexec_fn=functools.partial(_limit, limits),
        )
        os.close(theirs_in)
        os.close(theirs_out)
        os.set_blocking(self.out, False)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def send(self, value: object) -> None:
        """Raises ``Stopped`` if nobody reads it."""
        left = memoryview(wire.pack(value))
        while left:
            self._look()
            if not select.select([], [self.out], [], POLL)[1]:
                continue
            try:
                left = left[os.write(self.out, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise Stopped(self._why()) from None

    def receive(self) -> object:
        """The next value; raises ``Stopped`` if the process is gone, too slow or too large, or talks nonsense."""
        try:
            return wire.unpack(self._read)
        except wire.Broken as broken:
            raise Stopped(f"it sent something that is no answer ({broken})") from None

    def _read(self, n: int) -> bytes:
        parts = []
        while n:
            self._look()
            if not select.select([self.into], [], [], POLL)[0]:
                continue
            part = os.read(self.into, min(n, 1 << 20))
            if not part:
                raise Stopped(self._why())
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def _look(self) -> None:
        if time.monotonic() - self.looked < POLL:
            return
        self.looked = time.monotonic()
        if self.looked - self.began > self.limits.seconds:
            raise Stopped(f"it still ran after {self.limits.seconds:g} s")
        if len(_session(self.process.pid)) > self.limits.processes:
            raise Stopped(f"it started more than {self.limits.processes} processes")
        if not isolated() and (used := _used(self.folder, self.limits)):
            raise Stopped(used)

    def _why(self) -> str:
        """How did it end, if it has?"""
        try:
            code = self.process.wait(2)
        except subprocess.TimeoutExpired:
            return "it closed its line to the grader"
        if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return "it was killed: too much memory?"
        return f"its process ended by itself (exit code {code})"

    def end(self) -> None:
        """Returns once everything that was started is gone: a kill is carried out some time after it is asked for."""
        root, began, ours = self.process.pid, time.monotonic(), {}
        while True:
            ours |= _session(root)
            _kill(root)
            for pid in ours:
                _kill(pid)
            ours = {pid: process for pid, process in ours.items() if _runs(pid, process)}
            if not ours or time.monotonic() - began > PATIENCE:
                break
            time.sleep(0.005)
        self.process.wait()  # only now may its number go to another process
        for fd in (self.into, self.out):
            os.close(fd)
        shutil.rmtree(self.folder, ignore_errors=True)


def _limit(limits: Limits) -> None:
    """Between fork and exec."""
    os.umask(0o077)
    for what, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, int(limits.seconds) + 5),
        (resource.RLIMIT_FSIZE, limits.room),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        resource.setrlimit(what, (value, value))
    if os.getuid() and sys.platform == "linux":  # counted per user, whose other processes go on; root is never counted
        running = sum(
            os.stat(f"/proc/{p}").st_uid == os.getuid() for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}")
        )
        resource.setrlimit(resource.RLIMIT_NPROC, (running + limits.processes,) * 2)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the grader's own environment but where programs are; one thread, and kernels in the interpreter."""
    root = Path(__file__).resolve().parents[2]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{root}{os.pathsep}{root / 'kernels'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "SIMPLEX_LAB_HOME": str(folder / "work"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TRITON_INTERPRET": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(folder),
        "IPYTHONDIR": str(folder),
    } | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> _Process | None:
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return _Process(told[0].decode(), int(told[1]), int(told[3]), int(told[19]))


def _session(root: int) -> dict[int, _Process]:
    """``root`` and its descendants, and what has left them and is still of their session."""
    if sys.platform != "linux":
        return {}
    seen = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    seen = {pid: process for pid, process in seen.items() if process}
    known = {root}
    while more := {pid for pid, p in seen.items() if (p.parent in known or p.session == root) and pid not in known}:
        known |= more
    return {pid: seen[pid] for pid in known & seen.keys()}


def _runs(pid: int, process: _Process) -> bool:
    """Is it still there, and is it the same one? A zombie does nothing any more."""
    now = _stat(pid)
    return now is not None and now.started == process.started and now.state not in "ZX"


def _used(folder: Path, limits: Limits) -> str:
    """What of the room is used up, where no namespace bounds it."""
    count = size = 0
    for _, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        if count > limits.files:
            return f"it wrote more than {limits.files} files"
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                size += os.lstat(os.path.join(path, name)).st_size
            except OSError:
                continue
    return f"it wrote more than {limits.room >> 20} MiB" if size > limits.room else ""
