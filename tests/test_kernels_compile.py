"""The kernels compile for a Hopper chip, within its registers and shared memory; no GPU needed."""

import os
import re
import subprocess
import sys

import pytest

from simplex_lab.records import ROOT
from tools.ring_buffers import filled_too_early

HOPPER = {"forward_hopper_kernel", "backward_query_hopper_kernel", "backward_keys_hopper_kernel"}
SHARED = 227 * 1024  # bytes of a multiprocessor that one program may have
RELOADS = 10  # of 500 instructions and more


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
        ("hopper", HOPPER, 312),
        ("hopper, 64 heads", HOPPER, 312),
        ("hopper, narrow", HOPPER, 8),
        ("hopper, documents", HOPPER, 312),
    ],
)
def test_kernels_fit_a_hopper_chip(case, kernels, spilled):
    """Spilled registers stay near what the compiler needed when the table was made; the Gluon kernels load few of them again in a loop."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tools.kernel_resources", case]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    numbers = r"(\w+_kernel) +(\d+) registers +(\d+) bytes spilled +(\d+) bytes shared +(\d+) reloads"
    found = {name: [int(n) for n in told] for name, *told in re.findall(numbers, done.stdout)}
    assert found.keys() == kernels, done.stdout
    for name, (registers, bytes_spilled, shared, reloads) in found.items():
        assert registers <= 255, name
        assert bytes_spilled <= spilled, f"{name} spills {bytes_spilled} bytes"
        assert shared <= SHARED, f"{name} needs {shared} bytes"
        assert reloads <= RELOADS or name not in HOPPER, f"{name} loads {reloads} spilled registers again in a loop"


# What Triton 3.6 makes of a tile that is multiplied by a row and also an operand of a product, in a loop of three stages.
MIXED = """
      %q_337 = ttg.async_wait %q_320 {num = 3 : i32}
      %q_338 = ttg.memdesc_index %q_205[%x_333] : !ttg.memdesc<2x32x128xf16, #shared, #smem, mutable> -> !ttg.memdesc<32x128xf16, ...>
      %q_339 = ttg.local_load %q_338 token %q_337 : !ttg.memdesc<32x128xf16, ...> -> tensor<32x128xf16, #blocked>
      %s_349 = ttng.warp_group_dot %k_136, %a_344, %cst_20 {isAsync = true} : ...
      %s_350:3 = ttng.warp_group_dot_wait %s_349, %k_136, %a_344 {pendings = 0 : i32} : ...
      %acc_377 = ttng.warp_group_dot %da_376, %q_338, %arg40 {isAsync = true} : ...
      %q_406 = ttg.memdesc_index %q_205[%x_383] : ...
      %q_409 = ttg.async_copy_global_to_local %q_405, %q_406 mask %m_408 : ...
      scf.yield %acc_377, %x_383 : tensor<64x128xf32, #mma1>, i32
"""
ALONE = MIXED.replace("ttg.local_load %q_338 token", "ttg.local_load %other_1 token")
WAIT = "%w:2 = ttng.warp_group_dot_wait %acc_377, %q_338 {pendings = 0 : i32} : ..."
WAITED = MIXED.replace("scf.yield %acc_377", f"{WAIT}\n      scf.yield %w#0")


@pytest.mark.parametrize(("ttgir", "found"), [(MIXED, ["%q_205"]), (ALONE, []), (WAITED, [])], ids=["mixed", "alone", "waited for"])
def test_a_buffer_that_is_filled_too_early_is_found(ttgir, found):
    assert filled_too_early(ttgir) == found
