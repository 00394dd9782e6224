"""Models that are trained together come out as models that are trained one by one."""

import math
from dataclasses import replace

import pytest
import torch

from simplex_lab.fleet import train_fleet
from simplex_lab.model import ModelConfig
from simplex_lab.tasks import Composition, Match
from simplex_lab.train import TrainConfig, train

MATCH = Match(order=3, n=6, modulus=5)
MODEL = ModelConfig(vocabulary=5, length=6, layers=("simplicial", "dot"), width=16, heads=2, hidden=16)
RUN = TrainConfig(MODEL, MATCH, steps=12, batch=8, warmup=3, eval_every=4, eval_sequences=300)
GRID = [replace(RUN, seed=seed, lr=lr) for seed in (0, 3) for lr in (1e-3, 1e-2)]


def assert_equal(history, alone):
    assert history.tokens == alone.tokens
    assert history.loss == pytest.approx(alone.loss, abs=2e-4)
    assert history.held_out_loss == pytest.approx(alone.held_out_loss, abs=2e-4)
    assert history.accuracy == pytest.approx(alone.accuracy, abs=0.02)


@pytest.mark.parametrize("options", [{}, {"qk_norm": True, "positions": "rope", "key_heads": 1, "v2_bias": 1.0}], ids=["plain", "options"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_fleet_is_its_runs(schedule, options):
    grid = [replace(c, schedule=schedule, model=replace(MODEL, **options)) for c in GRID]
    for config, history in zip(grid, train_fleet(grid), strict=True):
        assert_equal(history, train(config))


def test_positions_that_are_not_asked_do_not_count():
    task = Composition(elements=3, edges=4, queries=2)
    config = replace(RUN, task=task, model=replace(MODEL, vocabulary=task.vocabulary))
    (history,) = train_fleet([config])
    assert_equal(history, train(config))


def test_runs_of_other_seeds_differ():
    a, b = train_fleet([RUN, replace(RUN, seed=1)])
    assert a.loss != b.loss


def test_a_run_that_fails_leaves_the_others_alone():
    fine, ruined = train_fleet([RUN, replace(RUN, lr=1e30)])
    assert_equal(fine, train(RUN))
    assert all(math.isnan(x) for x in ruined.loss + ruined.accuracy + ruined.held_out_loss)


def test_evaluations_are_told():
    steps = []
    train_fleet([RUN], lambda step, histories: steps.append((step, len(histories), len(histories[0].tokens))))
    assert steps == [(4, 1, 1), (8, 1, 2), (12, 1, 3)]


def test_runs_that_differ_in_more_are_refused():
    with pytest.raises(ValueError, match="seed and learning rate only"):
        train_fleet([RUN, replace(RUN, batch=16)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: there the model of a fleet is compiled and its steps are recorded")
@pytest.mark.filterwarnings("ignore:.*is deprecated. Please switch to:DeprecationWarning")  # PyTorch's compiler, of itself
@pytest.mark.filterwarnings("default::UserWarning")  # its advice: on TF32, on a softmax it splits
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 5e-3)])
def test_a_fleet_on_a_gpu_is_its_runs(precision, tolerance):
    wide = replace(RUN, precision=precision, model=replace(MODEL, layers=("dot", "simplicial", "dot"), width=32))
    grid = [replace(wide, seed=seed, lr=lr) for seed in (0, 3) for lr in (1e-3, 1e-2)]
    for config, history in zip(grid, train_fleet(grid, device="cuda"), strict=True):
        alone = train(config, device="cuda")
        assert history.loss == pytest.approx(alone.loss, abs=tolerance)
        assert history.held_out_loss == pytest.approx(alone.held_out_loss, abs=tolerance)
