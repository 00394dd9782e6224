"""Train a small model on a task and remember how its accuracy grew with the tokens it saw."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from simplex_lab.model import Model, ModelConfig
from simplex_lab.tasks import NO_LABEL, Composition, Match, WindowBits


@dataclass(frozen=True)
class TrainConfig:
    """One run: what is trained on what, with which seed, for how long. Everything that decides the result is in here."""

    model: ModelConfig
    task: Match | WindowBits | Composition
    steps: int = 300
    batch: int = 128
    lr: float = 3e-3
    warmup: int = 20
    weight_decay: float = 0.01
    seed: int = 0
    eval_every: int = 20
    eval_sequences: int = 1024

    @property
    def tokens(self) -> int:
        return self.steps * self.batch * self.task.n


@dataclass
class History:
    """Accuracy on held-out sequences after so many tokens, and the seconds that training took."""

    tokens: list[int] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    model: Model | None = None


def train(config: TrainConfig, on_eval: Callable[[int, History], None] | None = None) -> History:
    """AdamW with a linear warm-up and a linear decay to zero; ``on_eval(step, history)`` is called after every evaluation.

    Sequences come from a generator seeded with ``seed``, the held-out ones from another: two arms with one seed see the same data in the
    same order.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    torch.manual_seed(config.seed)
    model = Model(config.model)
    data = torch.Generator().manual_seed(1_000_003 + config.seed)
    held_out = config.task.sample(config.eval_sequences, torch.Generator().manual_seed(2_000_003 + config.seed))
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / config.warmup, (config.steps - s) / max(1, config.steps - config.warmup))
    )
    history, start = History(model=model), time.perf_counter()
    for step in range(1, config.steps + 1):
        x, y = config.task.sample(config.batch, data)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten().long(), ignore_index=NO_LABEL)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step} with lr={config.lr}: lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % config.eval_every == 0 or step == config.steps:
            history.tokens.append(step * config.batch * config.task.n)
            history.accuracy.append(accuracy(model, *held_out))
            history.loss.append(loss.item())
            history.seconds = time.perf_counter() - start
            if on_eval is not None:
                on_eval(step, history)
    return history


def train_with_bar(label: str, config: TrainConfig) -> History:
    """:func:`train` behind a progress bar that shows tokens and accuracy."""
    from tqdm import tqdm

    form = "{desc} {bar} {n_fmt}/{total_fmt}{postfix}"
    with tqdm(total=config.steps, desc=f"{label:21s}", ncols=58, file=sys.stdout, bar_format=form) as bar:

        def show(step: int, history: History) -> None:
            bar.set_postfix_str(f"accuracy {history.accuracy[-1]:.3f}", refresh=False)
            bar.update(step - bar.n)

        return train(config, show)


@torch.no_grad()
def accuracy(model: Model, x, y) -> float:
    """Share of the labelled positions, over all sequences, whose more likely class is the label."""
    model.eval()
    hits = (model(x).argmax(-1) == y)[y != NO_LABEL]
    model.train()
    return hits.double().mean().item()
