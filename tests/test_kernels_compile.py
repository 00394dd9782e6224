"""The kernels compile for a Hopper chip, within its registers and shared memory; no GPU needed."""

import os
import subprocess
import sys

import pytest

from simplex_lab.records import ROOT

SHARED = 227 * 1024  # bytes of a multiprocessor that one program may have


@pytest.mark.parametrize(
    ("case", "kernels", "spilled"),
    [
        ("headline", {"forward_kernel", "backward_query_kernel", "backward_keys_kernel", "reduce_kernel"}, 1024),
        ("determinant", {"forward_kernel", "backward_query_kernel", "backward_keys_kernel", "reduce_kernel"}, 4096),
        ("documents", {"forward_kernel", "backward_query_kernel", "backward_keys_kernel", "reduce_kernel"}, 1024),
        ("fp32", {"forward_kernel", "backward_query_kernel", "backward_keys_kernel", "reduce_kernel"}, 0),
        ("decode", {"forward_kernel"}, 512),
        ("model", {"forward_window_kernel", "backward_delta_kernel", "backward_window_kernel", "reduce_kernel"}, 0),
        ("model, grouped", {"forward_window_kernel", "backward_delta_kernel", "backward_window_kernel", "reduce_kernel"}, 128),
        ("model, 16 x 64", {"forward_window_kernel", "backward_delta_kernel", "backward_window_kernel", "reduce_kernel"}, 0),
    ],
)
def test_kernels_fit_a_hopper_chip(case, kernels, spilled):
    """Spilled registers stay near what the compiler needed when the table was made."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tools.kernel_resources", case]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {line.split()[-9]: [int(word) for word in line.split() if word.isdigit()][-3:] for line in done.stdout.splitlines()}
    assert found.keys() == kernels, done.stdout
    for name, (registers, bytes_spilled, shared) in found.items():
        assert registers <= 255, name
        assert bytes_spilled <= spilled, f"{name} spills {bytes_spilled} bytes"
        assert shared <= SHARED, f"{name} needs {shared} bytes"
