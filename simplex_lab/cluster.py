"""A sweep on more machines than this one: submitit, an optional extra (``simplex-lab[cluster]``), hands its jobs to Slurm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

ENVIRONMENT = ("SIMPLEX_LAB_COMMAND", "SIMPLEX_LAB_COMMIT")


def starter(cluster: str, folder: str | Path, *, gpus: int = 1, minutes: int = 120, **options) -> Callable[[Path, str], int]:
    """A ``start`` for :func:`simplex_lab.sweep.run`: each job is one task of ``cluster``, ``"slurm"`` or, on this machine, ``"local"``.

    ``folder`` and the sweep's own must lie where all machines see them. ``options`` are submitit's, for example ``slurm_partition``.

    Raises:
        RuntimeError: submitit is not installed.
    """
    try:
        import submitit
    except ModuleNotFoundError:
        raise RuntimeError("cluster needs submitit, which is not installed: pip install 'simplex-lab[cluster]'") from None
    executor = submitit.AutoExecutor(folder, cluster=cluster)
    executor.update_parameters(name="simplex-lab", timeout_min=minutes, gpus_per_node=gpus, **options)
    carried = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}

    def start(path: Path, device: str) -> int:
        submitted = executor.submit(_run, str(Path(path).resolve()), device, carried)
        return 0 if submitted.exception() is None else 1

    return start


def _run(path: str, device: str, environment: dict[str, str]) -> None:
    from simplex_lab import sweep

    os.environ.update(environment)
    sweep.job(Path(path), device)
