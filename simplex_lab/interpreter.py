"""Triton where you are: compiled on a GPU, else in its own interpreter on the CPU. The first cell of a kernel chapter calls ``prepare``.

Triton decides when it is imported, so this must come first; nothing here imports it before the decision is made.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

ELSEWHERE = "Triton exists for Linux only. The stored outputs stay readable; to run them use WSL on Windows, a Linux machine, or Colab."
TOO_LATE = (
    "Triton was imported before `prepare()`, without its interpreter, and there is no GPU. "
    "Restart the kernel (Kernel > Restart Kernel) and run the first cell first."
)


class CannotRun(Exception):
    """This machine or this session cannot run Triton kernels; the message says what to do. Notebooks show the message alone."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def prepare() -> str:
    """Make ``import triton`` work here and return the device for your tensors: ``"cuda"`` with a GPU, else ``"cpu"``.

    Without a GPU kernels run in Triton's interpreter: NumPy, one program after the other.

    Raises:
        CannotRun: there is no Triton for this system, or it was imported too early.
    """
    import torch

    if find_spec("triton") is None:
        raise CannotRun(ELSEWHERE)
    if torch.cuda.is_available():
        return "cuda"
    if "triton" in sys.modules and not interpreting():
        raise CannotRun(TOO_LATE)
    os.environ["TRITON_INTERPRET"] = "1"
    return "cpu"


def interpreting() -> bool:
    """Was Triton imported for its interpreter? What it defines on import, such as ``tl.sum``, was decided then. Imports Triton."""
    import triton.language as tl

    return type(tl.sum).__name__ == "InterpretedFunction"
