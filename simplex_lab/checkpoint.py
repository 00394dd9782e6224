"""Checkpoints that are never half written: a run goes on from one as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import torch


def save(path: str | Path, state: dict) -> bool:
    """Write ``state`` beside ``path`` and put it in its place at the end; False if there was no room, and the old file stays."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = None
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        return True
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as a RuntimeError
        print(f"{path}: this checkpoint was not written ({str(error).splitlines()[0]}); the one before it stays")
        return False
    finally:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)


def load(path: str | Path) -> dict | None:
    """What :func:`save` wrote, on the CPU; None if there is nothing."""
    path = Path(path)
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Stop:
    """Was Ctrl-C pressed since the block began?"""

    asked = False


@contextlib.contextmanager
def after_this_step() -> Iterator[Stop]:
    """Turn Ctrl-C into a wish that the loop looks at between two steps; a second Ctrl-C interrupts at once.

    Signals reach the main thread only; elsewhere nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number, frame):
        stop.asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
