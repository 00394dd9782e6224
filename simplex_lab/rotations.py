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
    positions = torch.arange(S) if positions is None else positions
    R = about_third_axis(positions.to(x.dtype)[:, None] * rates.to(x.dtype))  # [S, D / 3, 3, 3]
    return torch.einsum("slxy,bshly->bshlx", R, x.view(B, S, H, D // 3, 3)).reshape(B, S, H, D)
