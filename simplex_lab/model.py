"""A small decoder whose layers look at pairs (``"dot"``) or at triples (``"simplicial"``) of tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from simplex_lab.reference import dot_product, two_simplicial

PROJECTIONS = {"dot": 3, "simplicial": 5}


@dataclass(frozen=True)
class ModelConfig:
    """``layers`` from bottom to top, each ``"dot"`` or ``"simplicial"``; ``length`` is the longest sequence, ``hidden`` the MLP's width.

    With ``hidden=0`` there is no MLP: attention alone, between two norms. ``w1`` bounds what a dot-product layer sees, too.
    """

    vocabulary: int
    length: int
    layers: tuple[str, ...]
    width: int = 64
    heads: int = 4
    hidden: int = 256
    classes: int = 2
    w1: int | None = None
    w2: int | None = None
    causal: bool = True

    def __post_init__(self):
        for kind in self.layers:
            if kind not in PROJECTIONS:
                raise ValueError(f"layers={self.layers}: {kind!r} is none of {sorted(PROJECTIONS)}")
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is not a multiple of heads={self.heads}")


class Attention(nn.Module):
    """Projections, then dot-product or 2-simplicial attention, then the output projection."""

    def __init__(self, config: ModelConfig, kind: str):
        super().__init__()
        self.config, self.kind = config, kind
        self.inputs = nn.Linear(config.width, PROJECTIONS[kind] * config.width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Float[Tensor, "B S width"]) -> Float[Tensor, "B S width"]:
        c = self.config
        parts = self.inputs(x).unflatten(-1, (PROJECTIONS[self.kind], c.heads, -1)).unbind(2)  # each [B, S, H, D]
        if self.kind == "dot":
            o = dot_product(*parts, w=c.w1, causal=c.causal).o
        else:
            o = two_simplicial(*parts, w1=c.w1, w2=c.w2, causal=c.causal).o
        return self.output(o.flatten(2))


class Layer(nn.Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))`` (if there is an MLP)."""

    def __init__(self, config: ModelConfig, kind: str):
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.attention = Attention(config, kind)
        if config.hidden:
            self.mlp = nn.Sequential(nn.Linear(config.width, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.width))
        else:
            self.mlp, self.norm2 = None, None

    def forward(self, x: Float[Tensor, "B S width"]) -> Float[Tensor, "B S width"]:
        x = x + self.attention(self.norm1(x))
        return x if self.mlp is None else x + self.mlp(self.norm2(x))


class Model(nn.Module):
    """Token and learned position embeddings, layers, norm, and one set of class logits per position."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Parameter(0.02 * torch.randn(config.length, config.width))
        self.layers = nn.ModuleList(Layer(config, kind) for kind in config.layers)
        self.norm = nn.RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, tokens: Int[Tensor, "B S"]) -> Float[Tensor, "B S classes"]:
        x = self.embedding(tokens) + self.position[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def parameter_count(config: ModelConfig) -> int:
    """Number of trainable numbers in a model of this config (nothing is allocated)."""
    with torch.device("meta"):
        return sum(p.numel() for p in Model(config).parameters())


def match_parameters(config: ModelConfig, target: int, tolerance: float = 0.01) -> ModelConfig:
    """The same config with ``hidden`` chosen so that the parameter count comes nearest to ``target``.

    Raises:
        ValueError: no width of the MLP comes within ``tolerance`` of ``target``.
    """
    low, high = parameter_count(replace(config, hidden=1)), parameter_count(replace(config, hidden=2))
    hidden = max(1, round(1 + (target - low) / (high - low)))
    matched = replace(config, hidden=hidden)
    count = parameter_count(matched)
    if abs(count - target) > tolerance * target:
        raise ValueError(f"layers={config.layers}, width={config.width}: {count} parameters at hidden={hidden}, target is {target}")
    return matched
