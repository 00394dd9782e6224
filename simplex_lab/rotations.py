"""Rotations by position: the three-channel form of rotary position embedding, for chapter 04."""

from __future__ import annotations

import torch
from torch import Tensor


def about_third_axis(angle: Tensor) -> Tensor:
    """Rotation matrices ``[..., 3, 3]`` by ``angle [...]`` (radians): channels 1 and 2 turn, channel 3 stays."""
    cos, sin, nil = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = ([cos, -sin, nil], [sin, cos, nil], [nil, nil, torch.ones_like(angle)])
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def rotate_by_position(x: Tensor, rates: Tensor, positions: Tensor | None = None) -> Tensor:
    """Turn chunk ``l`` of ``x [B, S, H, D]`` at position ``t`` by ``t * rates[l]`` around its third axis; ``D`` is a multiple of 3.

    ``positions [S]`` are 0, 1, 2, ... unless given.
    """
    B, S, H, D = x.shape
    positions = torch.arange(S, device=x.device) if positions is None else positions
    R = about_third_axis(positions.to(x.dtype)[:, None] * rates.to(x.dtype))  # [S, D / 3, 3, 3]
    return torch.einsum("slxy,bshly->bshlx", R, x.view(B, S, H, D // 3, 3)).reshape(B, S, H, D)


def rotation_rates(n: int, device=None, base: float = 10_000.0) -> Tensor:
    """``n`` angles a position, falling from 1 to nearly ``1 / base`` in equal factors, as in Su et al. 2021, arXiv:2104.09864."""
    return base ** -(torch.arange(n, device=device, dtype=torch.float64) / n)


def rotate_pairs(x: Tensor, base: float = 10_000.0) -> Tensor:
    """RoPE: channels ``2 l`` and ``2 l + 1`` of ``x [B, S, H, D]`` at position ``t`` turn by ``t * base ** (-2 l / D)``.

    Dot products of two turned vectors depend on the distance of their positions only.
    """
    S, D = x.shape[1], x.shape[3]
    angle = torch.arange(S, device=x.device)[:, None] * rotation_rates(D // 2, x.device, base)
    cos, sin = (f(angle).to(x.dtype)[None, :, None] for f in (torch.cos, torch.sin))
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
