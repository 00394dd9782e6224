"""Pytest plugin: nbval's kernels start in the same surroundings as the builder's, whoever runs the tests and wherever."""

from __future__ import annotations

import os
import tempfile

import pytest

SEEN = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item):
    """Before the first cell of a notebook starts the kernel: a fresh progress folder, and one thread a worker."""
    if not hasattr(item, "cell_num") or SEEN in item.parent.stash:
        return (yield)
    item.parent.stash[SEEN] = True
    home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    os.environ["SIMPLEX_LAB_HOME"] = home.name
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ.pop("MPLBACKEND", None)
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
    result = yield
    item.parent.addfinalizer(home.cleanup)
    return result
