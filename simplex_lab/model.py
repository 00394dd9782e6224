"""A small decoder of dot-product (``"dot"``) and 2-simplicial (``"simplicial"``) layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from simplex_lab.reference import dot_product, two_simplicial
from simplex_lab.rotations import rotate_by_position, rotate_pairs, rotation_rates
from simplex_lab.windows import count_pairs, count_triples

PROJECTIONS = {"dot": 3, "simplicial": 5}
CHOICES = {"positions": ("learned", "rope"), "logits": ("trilinear", "determinant")}


@dataclass(frozen=True)
class ModelConfig:
    """``layers`` from bottom to top, each ``"dot"`` or ``"simplicial"``; ``length`` is the longest sequence, ``hidden`` the MLP's width.

    With ``hidden=0`` there is no MLP: attention alone, between two norms. ``w1`` bounds what a dot-product layer sees, too, unless
    ``dot_sees_all``.
    ``key_heads`` (a divisor of ``heads``; all of them unless given) share their keys and values among the query heads.

    ``positions``: a learned vector for each position, added to the embedding, or ``"rope"``: dot-product layers turn q and k by their
    position. A 2-simplicial layer turns nothing, since a trilinear form does not stay the same when its three vectors turn together
    (chapter 04); it has its windows, and what the layers below tell it. With ``logits="determinant"`` it does turn all three.

    ``qk_norm`` norms q and the keys of each head. ``k2_bias, v2_bias`` are added to all entries of k2 and v2: with ``v2_bias=1`` a
    2-simplicial layer can pass on plain ``v1``. ``output_norm`` norms what a 2-simplicial layer's heads give, before they are mixed.
    ``skip`` lets a 2-simplicial layer read the embedding beside the stream. ``residual`` scales what each part adds to the stream.
    ``embedding`` is the standard deviation of the token embedding at the start, 1 is PyTorch's, 0.02 that of GPT-2; ``position_size`` is
    that of learned positions. ``scale`` multiplies what is looked up, tokens and positions, in every step: training can grow a weight
    that started small, and has a longer way to make up for a factor.
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
    key_heads: int | None = None
    positions: str = "learned"
    logits: str = "trilinear"
    qk_norm: bool = False
    k2_bias: float = 0.0
    v2_bias: float = 0.0
    output_norm: bool = False
    skip: bool = False
    residual: float = 1.0
    embedding: float = 1.0
    scale: float = 1.0
    position_size: float = 0.02
    dot_sees_all: bool = False

    def __post_init__(self):
        for kind in self.layers:
            if kind not in PROJECTIONS:
                raise ValueError(f"layers={self.layers}: {kind!r} is none of {sorted(PROJECTIONS)}")
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is not a multiple of heads={self.heads}")
        if self.heads % (self.key_heads or self.heads):
            raise ValueError(f"heads={self.heads} is not a multiple of key_heads={self.key_heads}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {choices}")
        if self.positions == "rope" and (self.width // self.heads) % 2:
            raise ValueError(
                f"width={self.width}, heads={self.heads}: 'rope' turns pairs of channels, and {self.width // self.heads} is odd"
            )

    @property
    def dot_window(self) -> int | None:
        """The window of a dot-product layer."""
        return None if self.dot_sees_all else self.w1


def every(nth: int, depth: int, *, first: int = 0) -> tuple[str, ...]:
    """``depth`` layers, of which ``first``, ``first + nth``, ... (from 0 at the bottom) are 2-simplicial.

    The paper's "every 4th layer" is ``first=0`` if counted from the bottom, ``first=3`` if the last of each four.
    """
    return tuple("simplicial" if n >= first and (n - first) % nth == 0 else "dot" for n in range(depth))


class Attention(nn.Module):
    """Projections, then dot-product or 2-simplicial attention, then the output projection.

    ``by`` says who computes it: ``"pytorch"`` the reference, ``"kernels"`` those of ``simplex_kernels`` (on a GPU or in Triton's
    interpreter) and PyTorch's fused attention, ``"auto"`` the kernels on a GPU where they serve the layer. The numbers are the same.
    """

    def __init__(self, config: ModelConfig, kind: str, by: str = "auto"):
        super().__init__()
        self.config, self.kind, self.by = config, kind, by
        D, key_heads = config.width // config.heads, config.key_heads or config.heads
        self.parts = (config.heads,) + (PROJECTIONS[kind] - 1) * (key_heads,)
        self.inputs = nn.Linear(config.width, sum(self.parts) * D, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)
        self.norms = nn.ModuleList(nn.RMSNorm(D) for _ in range(2 if kind == "dot" else 3)) if config.qk_norm else ()
        self.output_norm = nn.RMSNorm(D) if config.output_norm and kind == "simplicial" else nn.Identity()

    def forward(self, x: Float[Tensor, "B S width"]) -> Float[Tensor, "B S width"]:
        c = self.config
        heads = self.inputs(x).unflatten(-1, (sum(self.parts), -1)).split(self.parts, 2)  # q, keys, values, each [B, S, heads, D]
        n = 2 if self.kind == "dot" else 3
        turned, values = list(heads[:n]), heads[n:]
        turned = [norm(t) for norm, t in zip(self.norms, turned, strict=True)] if c.qk_norm else turned
        if c.positions == "rope" and self.kind == "dot":
            turned = [rotate_pairs(t) for t in turned]
        elif c.positions == "rope" and c.logits == "determinant":
            whole = turned[0].shape[-1] // 3 * 3
            rates = rotation_rates(whole // 3, x.device)
            turned = [torch.cat([rotate_by_position(t[..., :whole], rates), t[..., whole:]], -1) for t in turned]
        return self.output(self.output_norm(self.attend(*turned, *values)).flatten(2))

    def attend(self, *parts: Tensor) -> Float[Tensor, "B S H D"]:
        c = self.config
        kernels = self.by == "kernels" or (self.by == "auto" and parts[0].is_cuda and c.causal and 16 <= parts[0].shape[-1] <= 128)
        if self.kind == "dot":
            if kernels and c.dot_window is None:
                q, k, v = (t.transpose(1, 2) for t in parts)
                fused = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=c.causal, enable_gqa=k.shape[1] != q.shape[1])
                return fused.transpose(1, 2)
            return dot_product(*parts, w=c.dot_window, causal=c.causal).o
        if kernels:
            from simplex_kernels import two_simplicial_attention

            return two_simplicial_attention(*parts, w1=c.w1, w2=c.w2, logits=c.logits, k2_bias=c.k2_bias, v2_bias=c.v2_bias)
        q, k1, k2, v1, v2 = parts
        return two_simplicial(q, k1, k2 + c.k2_bias, v1, v2 + c.v2_bias, w1=c.w1, w2=c.w2, causal=c.causal, logits=c.logits).o


class Layer(nn.Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))`` (if there is an MLP)."""

    def __init__(self, config: ModelConfig, kind: str, by: str = "auto"):
        super().__init__()
        self.residual, self.reads_embedding = config.residual, config.skip and kind == "simplicial"
        self.norm1, self.norm2 = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.attention = Attention(config, kind, by)
        if config.hidden:
            self.mlp = nn.Sequential(nn.Linear(config.width, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.width))
        else:
            self.mlp, self.norm2 = None, None

    def forward(self, x: Float[Tensor, "B S width"], embedded: Float[Tensor, "B S width"] | None = None) -> Float[Tensor, "B S width"]:
        read = x + embedded if self.reads_embedding else x
        x = x + self.residual * self.attention(self.norm1(read))
        return x if self.mlp is None else x + self.residual * self.mlp(self.norm2(x))


class Model(nn.Module):
    """Token embeddings, positions, layers, norm, and one set of class logits per position."""

    def __init__(self, config: ModelConfig, by: str = "auto"):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.embedding.weight.data *= config.embedding
        learned = config.positions == "learned"
        self.position = nn.Parameter(config.position_size * torch.randn(config.length, config.width)) if learned else None
        self.layers = nn.ModuleList(Layer(config, kind, by) for kind in config.layers)
        self.norm = nn.RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, tokens: Int[Tensor, "B S"]) -> Float[Tensor, "B S classes"]:
        x = self.embedding(tokens) + (0 if self.position is None else self.position[: tokens.shape[1]])
        x = embedded = x if self.config.scale == 1 else self.config.scale * x
        for layer in self.layers:
            x = layer(x, embedded)
        return self.head(self.norm(x))


@cache
def parameter_count(config: ModelConfig) -> int:
    """Number of trainable numbers in a model of this config (nothing is allocated)."""
    with torch.device("meta"):
        return sum(p.numel() for p in Model(config).parameters())


def flops_per_token(config: ModelConfig) -> float:
    """FLOPs of training on one token: forward, and twice that backward; products only, averaged over a sequence of full length.

    Two for each weight of a matrix (the embedding is looked up, not multiplied), 4 D for each pair or triple that a head sees.
    """
    c, D = config, config.width // config.heads
    key_heads, S = c.key_heads or c.heads, config.length
    seen = {"dot": count_pairs(S, c.dot_window), "simplicial": count_triples(S, c.w1, c.w2)}
    weights = c.width * c.classes
    for kind in c.layers:
        weights += c.width * D * (c.heads + (PROJECTIONS[kind] - 1) * key_heads) + c.width**2 + 2 * c.width * c.hidden
    attention = sum(4 * D * c.heads * seen[kind] / S for kind in c.layers)
    return 3 * (2 * weights + attention)


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
