"""One process or several (``torchrun``): who am I, and sums over all of us. With one process nothing here does anything."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn


def start() -> None:
    """Join the others if ``torchrun`` started this process: NCCL on GPUs, gloo on CPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if world() > 1 and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def world() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_available() and torch.distributed.is_initialized() else 1


def rank() -> int:
    return torch.distributed.get_rank() if world() > 1 else 0


def mine(x: Tensor) -> Tensor:
    """My share of a batch, which all of us have drawn alike."""
    return x[rank() :: world()]


def total(x: Tensor) -> Tensor:
    """The sum of ``x`` over all processes."""
    if world() > 1:
        x = x.clone()
        torch.distributed.all_reduce(x)
    return x


def wrap(model: nn.Module) -> nn.Module:
    """``model`` with its gradients averaged over all processes."""
    if world() == 1:
        return model
    return nn.parallel.DistributedDataParallel(model)
