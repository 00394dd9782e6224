"""Tasks with exact labels: Match2 (is there a partner?) and Match3 (is there a pair of partners?).

Source: Sanford et al. 2023, *Representational Strengths and Limitations of Transformers*. "Distinct" and "repeats allowed" are two
different tasks, and so are "causal" and "anywhere": the switches name which one you mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from simplex_lab.windows import visible, visible_pairs


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


@dataclass(frozen=True)
class Match:
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

    def sample(self, batch: int, generator: torch.Generator) -> tuple[Int[Tensor, "B n"], Bool[Tensor, "B n"]]:
        """Draw ``batch`` sequences and their labels."""
        x = torch.randint(self.modulus, (batch, self.n), generator=generator)
        return x, self.labels(x)

    def guess_accuracy(self, sequences: int = 4096, seed: int = 0) -> float:
        """Accuracy of the best guess that looks at the position alone: the more frequent label of each position."""
        _, y = self.sample(sequences, torch.Generator().manual_seed(seed))
        p = y.double().mean(0)
        return torch.maximum(p, 1 - p).mean().item()
