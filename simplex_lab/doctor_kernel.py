"""The kernel that `doctor` runs in a process of its own: x + y, on the GPU if there is one, else in Triton's interpreter on the CPU.

python -m simplex_lab.doctor_kernel        prints one line of JSON: the Triton version, the device, the number of wrong entries
"""

import json
import os

import torch

CUDA = torch.cuda.is_available()
# Triton reads this variable when it is imported, so it comes before the import.
if CUDA:
    os.environ.pop("TRITON_INTERPRET", None)
else:
    os.environ["TRITON_INTERPRET"] = "1"

import triton  # noqa: E402
import triton.language as tl  # noqa: E402

BLOCK = 128


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < n
    x = tl.load(x_ptr + offsets, mask=inside, other=0.0)
    y = tl.load(y_ptr + offsets, mask=inside, other=0.0)
    tl.store(out_ptr + offsets, x + y, mask=inside)


def main():
    device = "cuda" if CUDA else "cpu"
    n = 1000  # not a multiple of BLOCK, so the mask matters
    x = torch.arange(n, dtype=torch.float32, device=device)
    y = torch.full((n,), 0.5, device=device)
    out = torch.full((n,), float("nan"), device=device)
    add_kernel[(triton.cdiv(n, BLOCK),)](x, y, out, n, BLOCK=BLOCK)
    wrong = int((out != x + y).sum())
    print(json.dumps({"triton": triton.__version__, "device": device, "wrong": wrong, "of": n}))


if __name__ == "__main__":
    main()
