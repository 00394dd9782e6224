"""Pytest plugin: nbval's kernels start in the same surroundings as the builder's, whoever runs the tests and wherever."""

from __future__ import annotations

import os
import tempfile

import pytest

HOMES = pytest.StashKey[tempfile.TemporaryDirectory]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the first cell of a notebook starts the kernel: a fresh progress folder, and one thread a worker."""
    if not hasattr(item, "cell_num") or HOMES in item.parent.stash:
        return
    home = item.parent.stash[HOMES] = tempfile.TemporaryDirectory()
    os.environ["SIMPLEX_LAB_HOME"] = home.name
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ.pop("MPLBACKEND", None)
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
