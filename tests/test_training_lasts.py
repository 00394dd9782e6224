"""A run that was stopped goes on to the same numbers: by a checkpoint, Ctrl-C, a full disk, a loss that is no number, several processes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simplex_lab import checkpoint
from simplex_lab.code_bytes import CodeBytes
from simplex_lab.model import ModelConfig
from simplex_lab.tasks import Composition, FunctionComposition, Match, ModularSum, WindowBits
from simplex_lab.train import TrainConfig, train

MODEL = ModelConfig(vocabulary=5, length=6, layers=("simplicial", "dot"), width=16, heads=2, hidden=16)
RUN = TrainConfig(MODEL, Match(order=3, n=6, modulus=5), steps=14, batch=8, warmup=3, eval_every=4, eval_sequences=32)


def curve(history):
    return history.tokens, history.accuracy, history.loss, history.held_out_loss


@pytest.fixture(scope="module")
def whole():
    return train(RUN)


class Enough(Exception):
    pass


def stop_at(step, error=Enough):
    def look(now, history):
        if now >= step:
            raise error

    return look


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_resumed_run_has_the_same_curve(schedule, tmp_path):
    config, file = replace(RUN, schedule=schedule), tmp_path / "run.pt"
    with pytest.raises(Enough):
        train(config, stop_at(8), keep=file, keep_every=3)
    assert checkpoint.load(file)["step"] == 6
    again, whole = train(config, keep=file, keep_every=3), train(config)
    assert curve(again) == curve(whole)
    for p, q in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_finished_run_is_not_run_again(whole, tmp_path):
    file, steps = tmp_path / "run.pt", []
    train(RUN, keep=file)
    again = train(RUN, lambda step, history: steps.append(step), keep=file)
    assert steps == []
    assert curve(again) == curve(whole)
    assert again.seconds > 0


def test_ctrl_c_waits_for_the_step_and_keeps_it(whole, tmp_path):
    file = tmp_path / "run.pt"

    def press(step, history):
        if step == 8:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="after step 8"):
        train(RUN, press, keep=file, keep_every=1000)
    assert signal.getsignal(signal.SIGINT) is before
    assert checkpoint.load(file)["step"] == 8
    assert curve(train(RUN, keep=file)) == curve(whole)


def test_a_loss_that_is_no_number_leaves_the_last_good_state(tmp_path):
    file = tmp_path / "run.pt"

    def ruin(step, history):
        if step == 8:
            history.model.head.weight.data.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match=r"at step 9 .* lower the learning rate; the last good state is in .*run\.pt"):
        train(RUN, ruin, keep=file, keep_every=1)
    kept = checkpoint.load(file)
    assert kept["step"] == 7
    assert all(t.isfinite().all() for t in kept["model"].values())


def test_a_full_disk_loses_nothing(monkeypatch, tmp_path, capsys):
    file = tmp_path / "run.pt"
    assert checkpoint.save(file, {"step": 1})
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert not checkpoint.save(file, {"step": 2})
    assert "No space left" in capsys.readouterr().out
    assert checkpoint.load(file) == {"step": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    file = tmp_path / "run.pt"
    train(replace(RUN, steps=4), keep=file)
    with pytest.raises(ValueError, match="another run"):
        train(replace(RUN, steps=4, seed=1), keep=file)


TASKS = [
    Match(order=3, n=6, modulus=5, causal=False),
    ModularSum(n=6, modulus=5),
    WindowBits("parity", n=8, span=3),
    Composition(elements=3, edges=4, queries=2, hops=1),
    FunctionComposition(elements=3, queries=2),
    CodeBytes(n=16),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda t: type(t).__name__)
def test_a_config_survives_json(task):
    config = replace(RUN, task=task, schedule="cosine", model=replace(MODEL, w1=3, qk_norm=True))
    assert TrainConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("task", TASKS[1:], ids=lambda t: type(t).__name__)
def test_every_task_trains(task):
    model = replace(MODEL, vocabulary=task.vocabulary, length=task.n, classes=task.classes)
    history = train(replace(RUN, task=task, model=model, steps=3, eval_every=3))
    assert 0 <= history.accuracy[-1] <= 1
    assert history.held_out_loss[-1] > 0


def test_the_cosine_ends_at_a_hundredth():
    config = replace(RUN, steps=100, warmup=10, schedule="cosine")
    rates = [config.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (n + 1) for n in range(10)])
    assert rates[55] == pytest.approx(0.01 + 0.99 / 2)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0.01 < rates[-1] < 0.012


@pytest.mark.parametrize(("values", "says"), [({"schedule": "steps"}, "schedule='steps'"), ({"precision": "fp8"}, "precision='fp8'")])
def test_choices_are_checked(values, says):
    with pytest.raises(ValueError, match=says):
        replace(RUN, **values)


def test_bf16_stays_close_to_fp32(whole):
    low = train(replace(RUN, precision="bf16"))
    assert low.loss != whole.loss
    assert low.loss[-1] == pytest.approx(whole.loss[-1], abs=0.02)
    assert {p.dtype for p in low.model.parameters()} == {torch.float32}


def test_two_processes_train_as_one(whole, tmp_path):
    """gloo on a CPU, started by torchrun: the same loss, up to the order of sums, and one checkpoint."""
    program = tmp_path / "both.py"
    program.write_text(
        "import json, sys, torch\n"
        "from simplex_lab import parallel\n"
        "from simplex_lab.train import TrainConfig, train\n"
        "torch.set_num_threads(1)\n"
        "history = train(TrainConfig.from_dict(json.loads(sys.argv[1])), keep=sys.argv[2])\n"
        "open(f'{sys.argv[2]}.{parallel.rank()}.json', 'w').write(json.dumps([parallel.world(), history.loss, history.accuracy]))\n"
    )
    keep = tmp_path / "run.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    found = subprocess.run([*command, program, json.dumps(RUN.as_dict()), keep], env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    for rank in (0, 1):
        world, loss, accuracy = json.loads(Path(f"{keep}.{rank}.json").read_text())
        assert world == 2
        assert loss == pytest.approx(whole.loss, abs=1e-4)
        assert accuracy == pytest.approx(whole.accuracy, abs=0.02)
    assert checkpoint.load(keep)["step"] == RUN.steps
