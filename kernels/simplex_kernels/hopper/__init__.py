"""Kernels for compute capability 9.0 in Gluon, Triton's front end with explicit layouts; the stock kernels serve everything else.

They compile for Triton 3.6 and 3.7.1. On an H200 they were right and slower than they should be; since then forward and dq were changed and
not run again, so they are chosen only if ``SIMPLEX_KERNELS_HOPPER=1`` is set.
"""

import os

import torch
from torch import Tensor

from simplex_kernels.problem import Problem


def chosen(p: Problem) -> bool:
    """Do these kernels serve the problem, here?"""
    asked = os.environ.get("SIMPLEX_KERNELS_HOPPER") == "1"
    return asked and p.q.is_cuda and torch.cuda.get_device_capability(p.q.device) == (9, 0) and applies(p)


def applies(p: Problem) -> bool:
    """Trilinear logits without biases, half precision, 64 or 128 channels, whole sequences, rows that lie on 16 bytes."""
    _, Sq, Skv, _, _, D = p.sizes
    plain = not p.determinant and not any(p.biases) and Sq == Skv
    return plain and p.q.dtype.itemsize == 2 and D in (64, 128) and all(aligned(x) for x in (p.q, p.k2, p.v2))


def aligned(x: Tensor) -> bool:
    """Can rows of ``x`` be copied 16 bytes at a time?"""
    return x.data_ptr() % 16 == 0 and all(s * x.itemsize % 16 == 0 for s in x.stride()[:3])
