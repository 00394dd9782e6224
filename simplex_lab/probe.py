"""Look into a trained model: the weights with which a 2-simplicial layer's heads look at pairs of tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from simplex_lab.model import Model
from simplex_lab.reference import determinant_logits, trilinear_logits
from simplex_lab.windows import visible_pairs


@torch.no_grad()
def pair_weights(model: Model, layer: int, tokens: Int[Tensor, "B S"]) -> Float[Tensor, "B H S S S"]:
    """``P_ijk`` of every head of layer number ``layer`` (from 0 at the bottom) while the model reads ``tokens``.

    Raises:
        ValueError: that layer looks at single tokens.
    """
    c, attention = model.config, model.layers[layer].attention
    if attention.kind != "simplicial":
        raise ValueError(f"layer={layer} is a dot-product layer: layers={c.layers}")
    seen, attend = [], attention.attend
    attention.attend = lambda *parts: seen.append(parts) or attend(*parts)
    try:
        model(tokens)
    finally:
        del attention.attend
    q, k1, k2, *_ = seen[0]
    logits = determinant_logits if c.logits == "determinant" else trilinear_logits
    A = logits(q, k1, k2 + c.k2_bias)
    hidden = ~visible_pairs(tokens.shape[1], c.w1, c.w2, causal=c.causal, device=tokens.device)
    return A.masked_fill(hidden, -torch.inf).flatten(-2).softmax(-1).view_as(A)
