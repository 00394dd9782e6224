"""A sweep by submitit gives what a sweep gives; tried on this machine, with submitit's local executor."""

import sys
from pathlib import Path

import pytest
from test_sweep import BROKEN, CELLS

from simplex_lab import cluster, sweep
from simplex_lab.train import train

pytest.importorskip("submitit", reason="SUBMITIT IS NOT INSTALLED: sweeps on a cluster were not tried")


def test_jobs_of_a_cluster_leave_what_processes_leave(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMPLEX_LAB_COMMAND", "simplex-lab sweep --experiment try")
    monkeypatch.setenv("PYTHONPATH", str(Path(sweep.__file__).parents[1]))
    start = cluster.starter("local", tmp_path / "logs", gpus=0, minutes=2)
    assert sweep.run([CELLS[0], BROKEN], tmp_path, jobs=2, start=start, say=lambda text: None) == [BROKEN]
    ((cell, done),) = sweep.finished(tmp_path)
    assert cell == CELLS[0]
    assert done["loss"] == pytest.approx(train(cell.config).loss, abs=1e-6)
    assert done["source"]["command"] == "simplex-lab sweep --experiment try"
    assert any("lower the learning rate" in log.read_text() for log in (tmp_path / "logs").glob("*.err"))


def test_without_submitit_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(RuntimeError, match=r"pip install 'simplex-lab\[cluster\]'"):
        cluster.starter("slurm", tmp_path)
