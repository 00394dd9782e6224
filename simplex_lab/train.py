"""Train a small model on a task and remember how its accuracy grew with the tokens it saw."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.nn import functional as F

from simplex_lab import checkpoint, parallel
from simplex_lab.code_bytes import CodeBytes
from simplex_lab.model import Model, ModelConfig
from simplex_lab.tasks import NO_LABEL, Composition, FunctionComposition, Match, ModularSum, Task, WindowBits

TASKS = {kind.__name__: kind for kind in (Match, ModularSum, WindowBits, Composition, FunctionComposition, CodeBytes)}
SCHEDULES = ("linear", "cosine")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class TrainConfig:
    """One run: what is trained on what, with which seed, for how long. Everything that decides the result is in here.

    ``schedule``: after the warm-up the rate falls to zero along a line, or to a hundredth along a cosine. ``precision="bf16"``: products in
    bf16, weights and sums in fp32.
    """

    model: ModelConfig
    task: Task
    steps: int = 300
    batch: int = 128
    lr: float = 3e-3
    warmup: int = 20
    weight_decay: float = 0.01
    seed: int = 0
    eval_every: int = 20
    eval_sequences: int = 1024
    schedule: str = "linear"
    precision: str = "fp32"

    def __post_init__(self):
        for name, choices in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {choices}")

    @property
    def tokens(self) -> int:
        return self.steps * self.batch * self.task.n

    def rate(self, step: int) -> float:
        """The share of ``lr`` that step number ``step`` (from 0) uses."""
        rise, left = (step + 1) / self.warmup, (self.steps - step) / max(1, self.steps - self.warmup)
        if self.schedule == "linear":
            return min(rise, left)
        return min(rise, 0.01 + 0.99 * 0.5 * (1 - math.cos(math.pi * min(left, 1.0))))

    def as_dict(self) -> dict:
        """Plain numbers and names, for JSON; :meth:`from_dict` reads them back."""
        return asdict(self) | {"task": {"kind": type(self.task).__name__} | asdict(self.task)}

    @classmethod
    def from_dict(cls, plain: dict) -> TrainConfig:
        """Raises ``KeyError`` for a task that nobody knows, ``TypeError`` for a field that nobody has."""
        task, model = dict(plain["task"]), dict(plain["model"])
        model["layers"] = tuple(model["layers"])
        return cls(**plain | {"task": TASKS[task.pop("kind")](**task), "model": ModelConfig(**model)})


@dataclass
class History:
    """Accuracy and loss on held-out sequences, the loss of the step before, and the seconds that training took."""

    tokens: list[int] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    model: Model | None = None


def train(
    config: TrainConfig,
    on_eval: Callable[[int, History], None] | None = None,
    *,
    keep: str | Path | None = None,
    keep_every: int = 200,
    device: str | torch.device = "cpu",
) -> History:
    """AdamW with a linear warm-up, then ``config.schedule``; ``on_eval(step, history)`` is called after every evaluation.

    Sequences come from a generator seeded with ``seed``, the held-out ones from another: two arms with one seed see the same data in the
    same order. ``keep`` is a checkpoint, written every ``keep_every`` steps, at Ctrl-C and at the end; a run that finds one goes on from
    there, to the same numbers. Started by ``torchrun``, the processes share each batch, and the first one keeps the checkpoint.

    Raises:
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
        KeyboardInterrupt: after Ctrl-C, when the step is finished and the checkpoint is written.
        ValueError: the checkpoint is of another run.
    """
    parallel.start()
    run = _Run(config, torch.device(device))
    if keep is not None:
        run.resume(keep)
    with checkpoint.after_this_step() as stop:
        while run.step < config.steps:
            run.advance(keep)
            if run.step % config.eval_every == 0 or run.step == config.steps:
                run.evaluate()
                if on_eval is not None:
                    on_eval(run.step, run.history)
            if keep is not None and (run.step % keep_every == 0 or run.step == config.steps or stop.asked):
                run.save(keep)
            if stop.asked:
                raise KeyboardInterrupt(f"stopped after step {run.step}")
    return run.history


class _Run:
    """A model in training: everything that a checkpoint has to hold."""

    def __init__(self, config: TrainConfig, device: torch.device):
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.model = Model(config.model).to(device)
        self.shared = parallel.wrap(self.model)
        self.data = torch.Generator().manual_seed(1_000_003 + config.seed)
        held_out = config.task.held_out(config.eval_sequences, torch.Generator().manual_seed(2_000_003 + config.seed))
        self.held_out = [t.to(device) for t in held_out]
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.98))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, config.rate)
        self.step, self.history = 0, History(model=self.model)
        self.before, self.start = 0.0, time.perf_counter()

    def advance(self, keep: str | Path | None) -> None:
        """One step."""
        x, y = (parallel.mine(t) for t in self.config.task.sample(self.config.batch, self.data, self.device))
        labels = y.flatten().long()
        with low(self.config.precision, self.device):
            logits = self.shared(x).flatten(0, 1)
        if parallel.world() == 1:
            loss = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL)
        else:  # gradients are averaged over the processes, so each counts by its share of the labels
            asked = parallel.total((labels != NO_LABEL).sum())
            loss = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="sum") * (parallel.world() / asked)
        self.loss = (parallel.total(loss.detach()) / parallel.world()).item()
        if not math.isfinite(self.loss):
            kept = f"; the last good state is in {keep}" if keep is not None and Path(keep).exists() else ""
            raise FloatingPointError(f"loss is {self.loss} at step {self.step + 1} with lr={self.config.lr}: lower the learning rate{kept}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1

    def evaluate(self) -> None:
        c, h = self.config, self.history
        h.tokens.append(self.step * c.batch * c.task.n)
        h.loss.append(self.loss)
        right, missed = judge(self.model, *self.held_out, precision=c.precision)
        h.accuracy.append(right)
        h.held_out_loss.append(missed)
        h.seconds = self.before + time.perf_counter() - self.start

    def save(self, path: str | Path) -> None:
        """Write the state, unless the model has just been ruined: then the last good one stays."""
        a_few = [t[:16] for t in self.held_out]
        if parallel.rank() or not math.isfinite(judge(self.model, *a_few, precision=self.config.precision)[1]):
            return
        h = self.history
        state = {
            "config": self.config.as_dict(),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch},
            "data": self.data.get_state(),
            "history": {name: list(getattr(h, name)) for name in ("tokens", "accuracy", "loss", "held_out_loss")},
            "seconds": self.before + time.perf_counter() - self.start,
        }
        checkpoint.save(path, state)

    def resume(self, path: str | Path) -> None:
        state = checkpoint.load(path)
        if state is None:
            return
        if TrainConfig.from_dict(state["config"]) != self.config:
            raise ValueError(f"{path} is the checkpoint of another run: give this one a file of its own, or remove it")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.last_epoch = state["schedule"]["last_epoch"]
        self.data.set_state(state["data"])
        self.step, self.before = state["step"], state["seconds"]
        for name, values in state["history"].items():
            setattr(self.history, name, values)
        self.history.seconds = self.before


def low(precision: str, device: torch.device):
    """Products in bf16 if ``precision`` says so."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def train_with_bar(label: str, config: TrainConfig, **options) -> History:
    """:func:`train`, with its ``options``, behind a progress bar that shows steps and accuracy."""
    from tqdm import tqdm

    parallel.start()
    look = {"desc": f"{label:21s}", "ncols": max(58, 37 + len(label)), "bar_format": "{desc} {bar} {n_fmt}/{total_fmt}{postfix}"}
    with tqdm(total=config.steps, file=sys.stdout, disable=parallel.rank() > 0, **look) as bar:

        def show(step: int, history: History) -> None:
            bar.set_postfix_str(f"accuracy {history.accuracy[-1]:.3f}", refresh=False)
            bar.update(step - bar.n)

        return train(config, show, **options)


@torch.no_grad()
def judge(model: Model, x, y, precision: str = "fp32", at_once: int = 1024) -> tuple[float, float]:
    """``(accuracy, mean loss in nats)`` over the labelled positions of all sequences."""
    model.eval()
    right = asked = missed = 0.0
    for X, Y in zip(x.split(at_once), y.split(at_once), strict=True):
        with low(precision, X.device):
            logits = model(X).float()
        known = Y != NO_LABEL
        right += (logits.argmax(-1) == Y)[known].sum().item()
        missed += F.cross_entropy(logits[known], Y[known].long(), reduction="sum").item()
        asked += known.sum().item()
    model.train()
    return right / asked, missed / asked


def accuracy(model: Model, x, y) -> float:
    """Share of the labelled positions, over all sequences, whose more likely class is the label."""
    return judge(model, x, y)[0]
