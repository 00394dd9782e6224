"""Is this machine ready for a workshop? What ``simplex-lab doctor --workshop`` prints after the doctor's own lines.

For a room where everybody brings a laptop each line is about this machine; the last one says how many seats it would serve as a hub.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

from simplex_lab.doctor import GB, PROJECT, Line, by_limit, last_line

SEAT_MEMORY, SEAT_ROOM = 1.0 * GB, 0.2 * GB  # one notebook with its kernel (0.3 to 1 GB), a learner's copies and caches
SEATS_A_CORE = 4  # people read more than they run
CHAPTER00_STEPS = 3 * 500  # of the live training, all three arms together
SLOW = 90.0  # seconds of live training that a room waits for


def check_offline(status, stderr, seconds):
    """status, stderr: of a process without a network that imported the course and checked an answer."""
    if status:
        return Line("FAIL", "offline", f"without a network the course does not run: {last_line(stderr)}; run make setup while there is one")
    return Line("OK", "offline", f"without a network an exercise was checked in {seconds:.0f} s")


def check_speed(seconds):
    """seconds: how long the live training of chapter 00 will take here."""
    if seconds > SLOW:
        return Line(
            "WARN", "speed", f"the live training of chapter 00 takes about {seconds:.0f} s: talk meanwhile, or show the recorded seeds"
        )
    return Line("OK", "speed", f"the live training of chapter 00 takes about {seconds:.0f} s")


def check_exercises(stubs, wrong):
    """stubs: exercises that can be handed out. wrong: those whose stub is not seen as a stub."""
    if wrong:
        return Line("FAIL", "exercise", f"{', '.join(wrong)}: the stub is gone; get the exercises anew")
    if not stubs:
        return Line("FAIL", "exercise", "no exercises beside the package: work from a clone")
    return Line("OK", "exercise", f"{stubs} to hand out, every stub is in its place")


def check_port(free):
    return (
        Line("OK", "port", "a local port is free") if free else Line("FAIL", "port", "no local port can be opened: JupyterLab cannot start")
    )


def check_seats(seats, memory, cores, room):
    """As a hub for all: which of memory, cores and disk runs out first?"""
    limits = {"memory": int(memory / SEAT_MEMORY), "cores": cores * SEATS_A_CORE, "disk": int(room / SEAT_ROOM)}
    first = min(limits, key=limits.get)
    found = f"as a hub this machine serves {limits[first]} seats ({first}: {memory / GB:.0f} GB, {cores} cores, {room / GB:.0f} GB of disk)"
    if limits[first] < seats:
        return Line("WARN", "seats", f"{found}, not {seats}: laptops of their own, or a larger machine")
    return Line("OK", "seats", found)


OFFLINE = """
import socket

def refuse(*_, **__):
    raise OSError("no network in this process")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from simplex_lab import checks, explorers, plots, records
exercise = checks.find("03.2")
assert checks.run("03.2", checks._own_answer(exercise)).passed
assert records.read("chapter00.csv")
"""


def offline():
    """``(status, stderr, seconds)`` of a process that cannot reach anything."""
    began = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", OFFLINE], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    return found.returncode, found.stderr, time.perf_counter() - began


def seconds_of_chapter00(steps=12):
    """From a few steps of each arm, the seconds of the whole live training."""
    from dataclasses import replace

    import torch

    from simplex_lab import presets
    from simplex_lab.train import train

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        arms = presets.chapter00().values()
        return sum(train(replace(c, steps=steps, eval_every=steps)).seconds / steps for c in arms) * CHAPTER00_STEPS / len(arms)
    finally:
        torch.set_num_threads(threads)


def stubs():
    """``(how many, which are not there)`` of the exercises beside the package.

    The stub of a kernel exercise stands in its kernel, above the function that launches it; it is not looked for.
    """
    import json

    from simplex_lab.checks.spec import chapters, exercises

    count, wrong = 0, []
    for chapter in chapters():
        for path in sorted((PROJECT / "exercises").glob(f"{chapter}_*.ipynb")):
            text = "\n".join("".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"])
            for id, exercise in exercises(chapter).items():
                count += 1
                _, found, rest = text.partition(f"def {exercise.entry}(")
                if not found or ("raise NotImplementedError()" not in rest.split("\ndef ")[0].split("check(")[0] and not exercise.kernel):
                    wrong.append(id)
    return count, wrong


@contextmanager
def _listening():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield


def port_is_free():
    try:
        with _listening():
            return True
    except OSError:
        return False


def workshop(seats=30, *, out=print):
    """Print one line a check; False if any of them is FAIL. Takes about 15 s."""
    import shutil

    import psutil

    room = shutil.disk_usage(PROJECT).free
    lines = [
        check_offline(*offline()),
        check_speed(seconds_of_chapter00()),
        check_exercises(*stubs()),
        check_port(port_is_free()),
        by_limit("room", room, warn=3 * GB, fail=1 * GB, todo="a seat takes 2 GB with its environment"),
        check_seats(seats, psutil.virtual_memory().total, os.cpu_count() or 1, room),
    ]
    for line in lines:
        out(str(line))
    return all(line.status != "FAIL" for line in lines)
