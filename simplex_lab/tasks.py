"""Tasks with exact labels: Match2 and Match3, sums modulo a number, parity and majority of bits, relations and functions in a row.

Sources: Match2 and Match3 are those of Sanford et al. 2023, *Representational Strengths and Limitations of Transformers*. "Distinct" and
"repeats allowed" are two different tasks, and so are "causal" and "anywhere": the switches name which one you mean. Parity in a window with
majority as its control follows HOMA (arXiv:2603.11133), relation and function composition Kozachinskiy et al. 2025 (arXiv:2501.19215).
Each task has a control that pairs of tokens decide: Match2, a sum of two, a majority, one hop instead of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from simplex_lab.windows import visible, visible_pairs

NO_LABEL = -1  # of a position that is not asked


def match2_labels(x: Int[Tensor, "B S"], modulus: int, *, distinct: bool = True, causal: bool = True) -> Bool[Tensor, "B S"]:
    """``y_i`` is True when some visible ``j`` has ``x_i + x_j = 0 (mod modulus)``; with ``distinct``, ``j`` is not ``i``."""
    S = x.shape[1]
    allowed = visible(S, causal=causal, device=x.device)
    if distinct:
        allowed = allowed & ~torch.eye(S, dtype=torch.bool, device=x.device)
    hits = (x[:, :, None] + x[:, None, :]) % modulus == 0
    return (hits & allowed).any(-1)


def match3_labels(x: Int[Tensor, "B S"], modulus: int, *, distinct: bool = True, causal: bool = True) -> Bool[Tensor, "B S"]:
    """``y_i`` is True when some visible ``j, k`` have ``x_i + x_j + x_k = 0 (mod modulus)``; with ``distinct``, all three differ."""
    S = x.shape[1]
    allowed = visible_pairs(S, causal=causal, device=x.device)
    if distinct:
        differ = ~torch.eye(S, dtype=torch.bool, device=x.device)
        allowed = allowed & differ[:, :, None] & differ[:, None, :] & differ[None, :, :]
    hits = (x[:, :, None, None] + x[:, None, :, None] + x[:, None, None, :]) % modulus == 0
    return (hits & allowed).flatten(2).any(-1)


def match3_partners(x: Int[Tensor, " S"], i: int, modulus: int) -> list[tuple[int, int]]:
    """The pairs ``j < k < i`` with ``x_i + x_j + x_k = 0 (mod modulus)``: each makes the causal, distinct label of ``i`` 1."""
    return [(j, k) for j in range(i) for k in range(j + 1, i) if (x[i] + x[j] + x[k]).item() % modulus == 0]


class Task:
    """What all tasks share. A task has ``n`` tokens a sequence, a ``vocabulary``, ``classes`` of labels, and draws labelled sequences."""

    classes = 2

    def sample(self, batch: int, generator: torch.Generator, device: str | torch.device = "cpu") -> tuple[Tensor, Tensor]:
        """Draw ``batch`` sequences and their labels; the generator's device draws, ``device`` works the labels out."""
        return self.labelled(self.draw(batch, generator).to(device))

    def labelled(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and labels of what ``draw`` gave."""
        return drawn, self.labels(drawn)

    def held_out(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sequences to judge by: drawn like the others, unless a task keeps data apart."""
        return self.sample(batch, generator)

    def guess_accuracy(self, sequences: int = 4096, seed: int = 0) -> float:
        """Accuracy of the best guess that looks at the position alone."""
        return best_guess(self.held_out(sequences, torch.Generator().manual_seed(seed))[1].long())


@dataclass(frozen=True)
class Match(Task):
    """Sequences of ``n`` uniform tokens below ``modulus``, with a Match2 (``order=2``) or Match3 (``order=3``) label at each position."""

    order: int
    n: int
    modulus: int
    distinct: bool = True
    causal: bool = True

    def __post_init__(self):
        if self.order not in (2, 3):
            raise ValueError(f"order={self.order}: 2 for Match2, 3 for Match3")
        if self.n < 1 or self.modulus < 2:
            raise ValueError(f"n={self.n}, modulus={self.modulus}: need n >= 1 and modulus >= 2")

    @property
    def vocabulary(self) -> int:
        return self.modulus

    def labels(self, x: Int[Tensor, "B n"]) -> Bool[Tensor, "B n"]:
        rule = match2_labels if self.order == 2 else match3_labels
        return rule(x, self.modulus, distinct=self.distinct, causal=self.causal)

    def draw(self, batch: int, generator: torch.Generator) -> Int[Tensor, "B n"]:
        return torch.randint(self.modulus, (batch, self.n), generator=generator)


def best_guess(y: Int[Tensor, "B n"]) -> float:
    """Accuracy of the best guess that looks at the position alone: the most frequent label of each position that is asked."""
    asked = y != NO_LABEL
    counts = torch.stack([(y == label).sum(0) for label in range(int(y.max()) + 1)])
    return (counts.amax(0).sum() / asked.sum()).item()


@dataclass(frozen=True)
class ModularSum(Task):
    """``n`` uniform tokens below ``modulus``; the label of a position is the sum of the last ``terms`` tokens, modulo ``modulus``.

    Positions with fewer tokens behind them are not asked. Three terms make a genuine triple, two are the control.
    """

    n: int
    modulus: int
    terms: int = 3

    def __post_init__(self):
        if not (1 <= self.terms <= self.n and self.modulus >= 2):
            raise ValueError(f"n={self.n}, modulus={self.modulus}, terms={self.terms}: need 1 <= terms <= n and modulus >= 2")

    @property
    def vocabulary(self) -> int:
        return self.modulus

    @property
    def classes(self) -> int:
        return self.modulus

    def labels(self, x: Int[Tensor, "B n"]) -> Int[Tensor, "B n"]:
        y = x.unfold(1, self.terms, 1).sum(-1) % self.modulus
        return torch.nn.functional.pad(y, (self.terms - 1, 0), value=NO_LABEL)

    def draw(self, batch: int, generator: torch.Generator) -> Int[Tensor, "B n"]:
        return torch.randint(self.modulus, (batch, self.n), generator=generator)


@dataclass(frozen=True)
class WindowBits(Task):
    """``n`` random bits; the label of a position is the parity or the majority of the last ``span`` bits, its own included.

    Positions with fewer than ``span`` bits behind them are not asked.
    """

    rule: str
    n: int
    span: int

    def __post_init__(self):
        if self.rule not in ("parity", "majority"):
            raise ValueError(f"rule={self.rule!r}: 'parity' or 'majority'")
        if self.span % 2 == 0 or not 1 <= self.span <= self.n:
            raise ValueError(f"span={self.span}, n={self.n}: need an odd span of at most n bits, so that a majority is one")

    @property
    def vocabulary(self) -> int:
        return 2

    def labels(self, x: Int[Tensor, "B n"]) -> Int[Tensor, "B n"]:
        ones = x.unfold(1, self.span, 1).sum(-1)
        y = ones % 2 if self.rule == "parity" else (ones > self.span // 2).long()
        return torch.nn.functional.pad(y, (self.span - 1, 0), value=NO_LABEL)

    def draw(self, batch: int, generator: torch.Generator) -> Int[Tensor, "B n"]:
        return torch.randint(2, (batch, self.n), generator=generator)


@dataclass(frozen=True)
class Composition(Task):
    """First ``edges`` arrows between ``elements`` things, each a token, then ``queries`` pairs: is there a ``z`` with ``x -> z -> y``?

    With ``hops=1``, the control: is there an arrow ``x -> y``?

    An arrow ``a -> b`` is the token ``a * elements + b``, the query ``(x, y)`` is the token ``elements**2 + x * elements + y``. Only
    queries have labels.
    """

    elements: int
    edges: int
    queries: int
    hops: int = 2

    def __post_init__(self):
        if self.hops not in (1, 2):
            raise ValueError(f"hops={self.hops}: 2, or 1 for the control")

    @property
    def n(self) -> int:
        return self.edges + self.queries

    @property
    def vocabulary(self) -> int:
        return 2 * self.elements**2

    def labels(self, x: Int[Tensor, "B n"]) -> Int[Tensor, "B n"]:
        B, E = x.shape[0], self.elements
        there = torch.zeros(B, E * E, device=x.device).scatter(1, x[:, : self.edges], 1.0).view(B, E, E)
        reached = ((there @ there if self.hops == 2 else there) > 0).long().flatten(1)
        y = torch.full_like(x, NO_LABEL)
        y[:, self.edges :] = reached.gather(1, x[:, self.edges :] - E * E)
        return y

    def draw(self, batch: int, generator: torch.Generator) -> Int[Tensor, "B n"]:
        pairs = torch.randint(self.elements**2, (batch, self.n), generator=generator)
        pairs[:, self.edges :] += self.elements**2
        return pairs


@dataclass(frozen=True)
class FunctionComposition(Task):
    """The values of two functions f and g on ``elements`` things, shuffled, then ``queries`` things x: what is g(f(x))?

    ``f(a) = b`` is the token ``a * elements + b``, ``g(a) = b`` lies ``elements**2`` behind it, and the query x behind both. Only queries
    have labels. With ``hops=1``, the control: what is f(x)?
    """

    elements: int
    queries: int
    hops: int = 2

    def __post_init__(self):
        if self.hops not in (1, 2):
            raise ValueError(f"hops={self.hops}: 2, or 1 for the control")

    @property
    def n(self) -> int:
        return 2 * self.elements + self.queries

    @property
    def vocabulary(self) -> int:
        return 2 * self.elements**2 + self.elements

    @property
    def classes(self) -> int:
        return self.elements

    def labels(self, x: Int[Tensor, "B n"]) -> Int[Tensor, "B n"]:
        E = self.elements
        told, asked = x[:, : 2 * E].sort(1).values, x[:, 2 * E :] - 2 * E * E  # sorted: f(0), ..., f(E - 1), g(0), ...
        f, g = told[:, :E] % E, told[:, E:] % E
        answer = f.gather(1, asked)
        y = torch.full_like(x, NO_LABEL)
        y[:, 2 * E :] = g.gather(1, answer) if self.hops == 2 else answer
        return y

    def draw(self, batch: int, generator: torch.Generator) -> Int[Tensor, "B n"]:
        E = self.elements
        values = torch.randint(E, (batch, 2 * E), generator=generator)
        told = torch.arange(2 * E) * E + values
        told = told.gather(1, torch.rand(batch, 2 * E, generator=generator).argsort(1))
        asked = 2 * E * E + torch.randint(E, (batch, self.queries), generator=generator)
        return torch.cat([told, asked], 1)
