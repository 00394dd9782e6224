"""Many small models at once: runs that differ in seed and learning rate alone share every launch, as one model with a leading axis.

A small model leaves a GPU idle between its launches; sixteen of them cost little more. Each run sees the data of its own seed and starts
from its own weights, so its numbers are those of :func:`simplex_lab.train.train` up to the order and the rounding of sums. On a GPU
the model is compiled, which spares most of its traffic with memory, and a step is recorded once as a CUDA graph and then replayed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from simplex_lab.model import Model
from simplex_lab.tasks import NO_LABEL
from simplex_lab.train import History, TrainConfig, low

BETAS, EPSILON, LONGEST = (0.9, 0.98), 1e-8, 1.0  # as train: AdamW, gradients of a norm of 1 at the most
# cuDNN's attention gave wrong gradients under vmap, and the efficient one refuses it (torch 2.11)
SAFE = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
WARM = 3  # steps before a step is recorded: libraries set themselves up in them


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
    done = 0
    while done < first.steps:
        done = min(done + first.eval_every, first.steps)
        fleet.advance(done)
        fleet.evaluate()
        if on_eval is not None:
            on_eval(done, fleet.histories)
    return fleet.histories


class _Fleet:
    def __init__(self, configs: Sequence[TrainConfig], device: torch.device):
        self.configs, self.device, self.done, self.graph = list(configs), device, 0, None
        c = configs[0]
        models = []
        for config in configs:
            torch.manual_seed(config.seed)
            models.append(Model(config.model, "auto" if device.type == "cuda" else "pytorch"))
        stacked = {name: w.detach() for name, w in stack_module_state(models)[0].items()}
        self.skeleton = models[0].to("meta")
        self.skeleton.embedding = _Lookup(c.model.vocabulary)
        # all weights in one tensor [M, P], so that an update is a handful of launches; the model's are views of it
        self.flat = torch.cat([w.flatten(1) for w in stacked.values()], 1).to(device)
        parts = self.flat.split([w[0].numel() for w in stacked.values()], 1)
        self.weights = {name: part.view(w.shape).requires_grad_() for (name, w), part in zip(stacked.items(), parts, strict=True)}
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.lr = torch.tensor([config.lr for config in configs], device=device)
        self.share = torch.tensor([c.rate(step) for step in range(c.steps)], device=device)
        self.step, self.at = (torch.zeros(1, dtype=torch.long, device=device) for _ in range(2))  # of all, and of those drawn beforehand
        self.alive = torch.ones(len(configs), dtype=torch.bool, device=device)
        self.losses = torch.zeros(len(configs), device=device)
        # runs of one seed see the same data: it is drawn once
        self.seeds = list(dict.fromkeys(config.seed for config in configs))
        self.data = [torch.Generator().manual_seed(1_000_003 + seed) for seed in self.seeds]
        self.of = torch.tensor([self.seeds.index(config.seed) for config in configs], device=device)
        held_out = [c.task.held_out(c.eval_sequences, torch.Generator().manual_seed(2_000_003 + s)) for s in self.seeds]
        self.held_out = [torch.stack(part).to(device) for part in zip(*held_out, strict=True)]
        self.x, self.y = (torch.zeros(c.eval_every, len(self.seeds), c.batch, c.task.n, dtype=torch.long, device=device) for _ in range(2))
        self.histories, self.start = [History() for _ in configs], time.perf_counter()
        self.trained = self.logits
        if device.type == "cuda":
            torch.compiler.reset()  # a process may train many fleets, and each compiles anew
            self.trained = torch.compile(self.logits, fullgraph=True, dynamic=False)

    def logits(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        """``[M, B, S, classes]`` of ``M`` models, each on its own ``x [M, B, S]``."""
        with low(self.configs[0].precision, self.device), sdpa_kernel(SAFE):
            return torch.vmap(lambda w, tokens: functional_call(self.skeleton, w, (tokens,)))(weights, x).float()

    def advance(self, until: int) -> None:
        """Steps of AdamW for every model, on data drawn beforehand."""
        c = self.configs[0]
        steps = until - self.done
        for s, generator in enumerate(self.data):
            drawn = torch.cat([c.task.draw(c.batch, generator) for _ in range(steps)]).to(self.device)
            for ahead, part in zip((self.x, self.y), c.task.labelled(drawn), strict=True):
                ahead[:steps, s] = part.unflatten(0, (steps, c.batch))
        self.at.zero_()
        for _ in range(steps):
            if self.graph is not None:
                self.graph.replay()
            elif self.device.type == "cuda" and self.done == WARM:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    self.one_step()
                self.graph.replay()
            else:
                self.one_step()
            self.done += 1

    def one_step(self) -> None:
        """The next of the batches drawn beforehand. What changes from step to step lies on the device: a graph records it once."""
        x, y = (drawn.index_select(0, self.at)[0][self.of] for drawn in (self.x, self.y))
        found = losses(self.trained(self.weights, x), y)
        gradients = torch.autograd.grad(found.sum(), list(self.weights.values()))
        with torch.no_grad():
            self.losses.copy_(found)
            self.alive &= found.isfinite()
            self.update(torch.cat([g.flatten(1) for g in gradients], 1))
            self.step += 1
            self.at += 1

    def update(self, g: Tensor) -> None:
        """A step of AdamW along the gradients ``g [M, P]``, each model at its own rate."""
        lr, t = (self.share.index_select(0, self.step) * self.lr)[:, None], self.step + 1
        g = g * (LONGEST / (g.norm(dim=1, keepdim=True) + 1e-6)).clamp(max=1.0)
        self.mean.lerp_(g, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
        unbiased = [1 - torch.exp(t * math.log(beta)) for beta in BETAS]
        move = (self.mean / unbiased[0]) / ((self.square / unbiased[1]).sqrt() + EPSILON)
        moved = self.flat * (1 - lr * self.configs[0].weight_decay) - lr * move
        self.flat.copy_(torch.where(self.alive[:, None], moved, self.flat))

    @torch.no_grad()
    def evaluate(self, at_once: int = 256) -> None:
        right, missed, asked = (torch.zeros(len(self.configs), device=self.device) for _ in range(3))
        for X, Y in zip(*(part.split(at_once, 1) for part in self.held_out), strict=True):
            x, y = X[self.of], Y[self.of]
            logits, known = self.logits(self.weights, x), (y != NO_LABEL).flatten(1)
            right += ((logits.argmax(-1) == y).flatten(1) & known).sum(1)
            missed += losses(logits, y) * known.sum(1)
            asked += known.sum(1)
        found = torch.stack([right / asked, missed / asked, self.losses, self.alive]).double().cpu()
        seconds, c = time.perf_counter() - self.start, self.configs[0]
        for h, (share, held_out, loss, alive) in zip(self.histories, found.T.tolist(), strict=True):
            h.tokens.append(self.done * c.batch * c.task.n)
            h.accuracy.append(share if alive else math.nan)
            h.held_out_loss.append(held_out if alive else math.nan)
            h.loss.append(loss if alive else math.nan)
            h.seconds = seconds / len(self.configs)


class _Lookup(nn.Module):
    """An embedding as a product with one-hot vectors: with a small vocabulary its gradient is a product, too, and no queue of sums."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.vocabulary, self.weight = vocabulary, nn.Parameter(torch.empty(0, device="meta"))

    def forward(self, tokens: Tensor) -> Tensor:
        one_hot = (tokens[..., None] == torch.arange(self.vocabulary, device=tokens.device)).to(self.weight.dtype)
        with torch.autocast(tokens.device.type, enabled=False):  # an embedding is looked up in full precision
            return one_hot @ self.weight


def losses(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each model, ``[M]``, for ``logits [M, B, S, classes]`` and labels ``[M, B, S]``."""
    M, classes = len(logits), logits.shape[-1]
    each = F.cross_entropy(logits.view(-1, classes), y.flatten().long(), ignore_index=NO_LABEL, reduction="none").view(M, -1)
    return each.sum(1) / (y != NO_LABEL).flatten(1).sum(1)
