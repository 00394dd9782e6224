"""Many small models at once: runs that differ in seed and learning rate alone share every launch, as one model with a leading axis.

A small model leaves a GPU idle between its launches; sixteen of them cost little more. Each run sees the data of its own seed and starts
from its own weights, so its numbers are those of :func:`simplex_lab.train.train` up to the order of sums.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F

from simplex_lab.model import Model
from simplex_lab.tasks import NO_LABEL
from simplex_lab.train import History, TrainConfig, low

BETAS, EPSILON, LONGEST = (0.9, 0.98), 1e-8, 1.0  # as train: AdamW, gradients of a norm of 1 at the most


def train_fleet(
    configs: Sequence[TrainConfig],
    on_eval: Callable[[int, list[History]], None] | None = None,
    *,
    device: str | torch.device = "cpu",
) -> list[History]:
    """Train all of ``configs``, which may differ in ``seed`` and ``lr`` only; a history for each, in their order.

    A run whose loss is no longer finite stands still from then on, and its history says so: later losses are NaN.

    Raises:
        ValueError: the runs differ in more than seed and rate.
    """
    first = configs[0]
    if any(replace(c, seed=first.seed, lr=first.lr) != first for c in configs):
        raise ValueError("the runs of a fleet may differ in seed and learning rate only")
    fleet = _Fleet(configs, torch.device(device))
    for step in range(1, first.steps + 1):
        fleet.advance()
        if step % first.eval_every == 0 or step == first.steps:
            fleet.evaluate(step)
            if on_eval is not None:
                on_eval(step, fleet.histories)
    return fleet.histories


class _Fleet:
    def __init__(self, configs: Sequence[TrainConfig], device: torch.device):
        self.configs, self.device, self.step = list(configs), device, 0
        models = []
        for c in configs:
            torch.manual_seed(c.seed)
            models.append(Model(c.model, "pytorch"))
        weights, _ = stack_module_state(models)
        self.weights = {name: w.detach().to(device).requires_grad_() for name, w in weights.items()}
        self.skeleton = models[0].to("meta")
        self.moments = {name: (torch.zeros_like(w), torch.zeros_like(w)) for name, w in self.weights.items()}
        self.lr = torch.tensor([c.lr for c in configs], device=device)
        self.alive = torch.ones(len(configs), dtype=torch.bool, device=device)
        # runs of one seed see the same data: it is drawn once
        self.seeds = list(dict.fromkeys(c.seed for c in configs))
        self.data = [torch.Generator().manual_seed(1_000_003 + seed) for seed in self.seeds]
        self.of = torch.tensor([self.seeds.index(c.seed) for c in configs], device=device)
        task = configs[0].task
        held_out = [task.held_out(configs[0].eval_sequences, torch.Generator().manual_seed(2_000_003 + s)) for s in self.seeds]
        self.held_out = [torch.stack(part).to(device) for part in zip(*held_out, strict=True)]
        self.histories, self.start = [History() for _ in configs], time.perf_counter()

    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """``[M, B, S, classes]`` of ``M`` models, each on its own ``x [M, B, S]``."""
        with low(self.configs[0].precision, self.device):
            return torch.vmap(lambda w, tokens: functional_call(self.skeleton, w, (tokens,)))(weights, x).float()

    def advance(self) -> None:
        """One step of AdamW for every model."""
        c = self.configs[0]
        drawn = [c.task.sample(c.batch, g, self.device) for g in self.data]
        x, y = (torch.stack(part)[self.of] for part in zip(*drawn, strict=True))
        self.losses = losses(self.logits(self.weights, x), y)
        gradients = torch.autograd.grad(self.losses.sum(), list(self.weights.values()))
        self.alive &= self.losses.detach().isfinite()
        with torch.no_grad():
            self._update(dict(zip(self.weights, gradients, strict=True)), c.rate(self.step))
        self.step += 1

    def _update(self, gradients: dict[str, Tensor], share: float) -> None:
        norm = torch.stack([g.flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
        shrink = (LONGEST / (norm + 1e-6)).clamp(max=1.0)
        t, decay = self.step + 1, self.configs[0].weight_decay
        for name, w in self.weights.items():
            along = (-1,) + (1,) * (w.dim() - 1)
            lr, alive = (share * self.lr).view(along), self.alive.view(along)
            g = gradients[name] * shrink.view(along)
            mean, square = self.moments[name]
            mean.lerp_(g, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            move = (mean / (1 - BETAS[0] ** t)) / ((square / (1 - BETAS[1] ** t)).sqrt() + EPSILON)
            w.copy_(torch.where(alive, w * (1 - lr * decay) - lr * move, w))

    @torch.no_grad()
    def evaluate(self, step: int, at_once: int = 256) -> None:
        right, missed, asked = (torch.zeros(len(self.configs), device=self.device) for _ in range(3))
        for X, Y in zip(*(part.split(at_once, 1) for part in self.held_out), strict=True):
            x, y = X[self.of], Y[self.of]
            logits, known = self.logits(self.weights, x), (y != NO_LABEL).flatten(1)
            right += ((logits.argmax(-1) == y).flatten(1) & known).sum(1)
            missed += losses(logits, y) * known.sum(1)
            asked += known.sum(1)
        seconds, c = time.perf_counter() - self.start, self.configs[0]
        found = torch.stack([right / asked, missed / asked, self.losses.detach(), self.alive]).double().cpu()
        for h, (share, held_out, loss, alive) in zip(self.histories, found.T.tolist(), strict=True):
            h.tokens.append(step * c.batch * c.task.n)
            h.accuracy.append(share if alive else math.nan)
            h.held_out_loss.append(held_out if alive else math.nan)
            h.loss.append(loss if alive else math.nan)
            h.seconds = seconds / len(self.configs)


def losses(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each model, ``[M]``, for ``logits [M, B, S, classes]`` and labels ``[M, B, S]``."""
    M, classes = len(logits), logits.shape[-1]
    each = F.cross_entropy(logits.view(-1, classes), y.flatten().long(), ignore_index=NO_LABEL, reduction="none").view(M, -1)
    return each.sum(1) / (y != NO_LABEL).flatten(1).sum(1)
