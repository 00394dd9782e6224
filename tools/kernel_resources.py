"""Compile the kernels for a Hopper chip, on any machine: ``python -m tools.kernel_resources [CASE ...]``.

No GPU is needed, only ``ptxas``, which Triton brings along. For every kernel that a case launches: registers of a thread, bytes spilled
from registers to memory, bytes of shared memory of a program, and how many spilled registers are loaded again in a loop of products. Stops
at buffers that the compiler fills too early. The interpreter runs kernels that the compiler refuses or gets wrong; this does not.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.pop("TRITON_INTERPRET", None)

import torch
import triton
from simplex_kernels import attention, backward, configs, forward, forward_window
from simplex_kernels.problem import Problem
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from simplex_lab import sass
from tools.ring_buffers import filled_too_early

TARGET = GPUTarget("cuda", 90, 32)
MODULES = ("forward", "forward_window", "backward_delta", "backward_query", "backward_keys", "backward_window", "reduce")
HOPPER = ("forward", "backward_query", "backward_keys")
HEADLINE = {"H": 128, "Hkv": 1, "D": 128, "w1": 32, "w2": 512}
MODEL = {"H": 8, "Hkv": 8, "D": 64, "w1": 32, "w2": 32}
CASES = {
    "headline": HEADLINE,
    "determinant": HEADLINE | {"determinant": 1},
    "documents": HEADLINE | {"documents": True},
    "biased": HEADLINE | {"k2_bias": 0.1, "v2_bias": 1.0},
    "fp16": HEADLINE | {"dtype": torch.float16},
    "fp32": MODEL | {"dtype": torch.float32},
    "narrow": HEADLINE | {"D": 64},
    "model": MODEL,
    "model, 16 x 64": MODEL | {"w1": 16, "w2": 64},
    "model, grouped": MODEL | {"Hkv": 2},
    "model, grouped, 16 x 64": MODEL | {"Hkv": 2, "w1": 16, "w2": 64},
    "decode": HEADLINE | {"Sq": 1},
    "hopper": HEADLINE | {"hopper": True},
    "hopper, 64 heads": HEADLINE | {"H": 64, "hopper": True},
    "hopper, narrow": HEADLINE | {"H": 16, "D": 64, "hopper": True},
    "hopper, documents": HEADLINE | {"documents": True, "hopper": True},
}


class Target:
    """Stands for the driver of a GPU that is not there."""

    def get_current_target(self):
        return TARGET

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=0):
        return 0


class Compiled:
    """A kernel whose launch compiles it instead."""

    def __init__(self, kernel, found: list):
        self.kernel, self.found = kernel, found

    def __getitem__(self, grid):
        return lambda *args, **options: self.found.append((self.kernel.__name__, self.kernel.warmup(*args, **options, grid=grid)))


def compile_case(**options) -> dict:
    """``{kernel: (registers, spilled bytes, shared bytes, reloads in a loop)}`` of the kernels that a case launches."""
    return {name: resources(kernel) for name, kernel in compiled(**options)}


def compiled(
    *, H, Hkv, D, w1, w2, Sq=None, dtype=torch.bfloat16, determinant=0, documents=False, k2_bias=0.0, v2_bias=0.0, hopper=False
) -> list[tuple]:
    """``[(name, kernel)]`` of the forward and, unless ``Sq`` is given (a decode step), the backward; with ``hopper`` those in Gluon."""
    B, S = 4, 4096

    def empty(heads, positions=S):
        return torch.empty(B, positions, heads, D, dtype=dtype, device="meta")

    bounds = [torch.empty(B, S, dtype=torch.int32, device="meta") if documents else None] * 2
    lengths = None if Sq is None else torch.empty(B, dtype=torch.int32, device="meta")
    q, keys = empty(H, Sq or S), [empty(Hkv) for _ in range(4)]
    p = Problem(q, *keys, w1, w2, D**-0.5, determinant, 0.0, k2_bias, 0.0, v2_bias, *bounds, lengths).oriented()
    found: list = []
    modules = {name: importlib.import_module(f"simplex_kernels.{name}") for name in MODULES}
    modules |= {f"{name}_hopper": importlib.import_module(f"simplex_kernels.hopper.{name}") for name in HOPPER}
    kernels = {name: getattr(module, f"{name}_kernel") for name, module in modules.items()}
    try:
        for name, module in modules.items():
            setattr(module, f"{name}_kernel", Compiled(kernels[name], found))
        if hopper:
            o, lse2 = modules["forward_hopper"].launch(p)
            modules["backward_query_hopper"].launch(p, lse2, lse2, o)
            modules["backward_keys_hopper"].launch(p, o, lse2, lse2, 0, 1, lse2, lse2)
        elif Sq is None and configs.window(p):
            o, lse2 = forward_window.launch(p, configs.forward_window(p))
        else:
            o, lse2 = forward.launch(p, configs.forward(p))
        if Sq is None and not hopper:
            backward.backward(p, o, lse2, o, None)
    finally:
        for name, module in modules.items():
            setattr(module, f"{name}_kernel", kernels[name])
    return found


def resources(kernel) -> tuple[int, int, int, int]:
    """Registers of a thread, bytes spilled, bytes of shared memory of a program, most reloads in a loop of products."""
    numbers = dict(field.split(":") for field in said_of(kernel, "-res-usage").splitlines()[-1].split())
    early = filled_too_early(kernel.asm["ttgir"])
    assert not early, f"{kernel.metadata.name}: buffers {early} are read by a product while they are filled again"
    multiplying = [loop for loop in sass.loops(sass.parse(said_of(kernel, "-sass"))) if sass.mix(loop)["products"]]
    reloads = max((sum(x.name == "LDL" for x in loop) for loop in multiplying), default=0)
    return int(numbers["REG"]), int(numbers["STACK"]), kernel.metadata.shared, reloads


def said_of(kernel, what: str) -> str:
    """What ``cuobjdump``, which Triton brings along, says of a compiled kernel: ``-res-usage`` or ``-sass``."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(kernel.asm["cubin"])
        return subprocess.run([tool, what, file.name], capture_output=True, text=True, check=True).stdout.strip()


def main(names: list[str]) -> None:
    driver.set_active(Target())
    assert not attention.INTERPRETED
    for name in names or CASES:
        for kernel, (registers, spilled, shared, reloads) in compile_case(**CASES[name]).items():
            told = f"{registers:4d} registers {spilled:5d} bytes spilled {shared:7d} bytes shared {reloads:3d} reloads in a loop"
            print(f"{name:24s} {kernel:24s} {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
