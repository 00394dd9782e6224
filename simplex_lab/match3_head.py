"""A 2-simplicial head built by hand, without training: determinant logits decide Match3 with repeats (after theorem 5.1 of the paper).

Token ``x`` becomes the angle ``theta = 2 pi x / M``. Two chunks of three channels make the logit of a pair

    det[q, k1, k2] + det[q', k1', k2'] = c cos(theta_i + theta_j + theta_k),

which is ``c`` exactly if ``x_i + x_j + x_k`` is a multiple of ``M``. A blank token in front makes one more pair with logit ``c`` and the
value 0, so that the softmax has somewhere to go when nothing matches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simplex_lab import reference

S_BLANK, R_BLANK = 0.25, 2.0  # 2 s r = 1 gives the pair (blank, blank) the logit c; s keeps mixed pairs at or below c / 4


def inverse_temperature(n: int, modulus: int) -> float:
    """The ``c`` above which pairs that do not match hold less than a quarter of the weight: ``(2 ln n + ln 3) / (2 sin(pi / M)^2)``.

    The best of ``n^2`` wrong pairs scores ``c cos(2 pi / M)``. Against the blank pair's ``c`` they weigh together at most
    ``n^2 exp(-2 c sin(pi / M)^2)``, and this must stay below a third.
    """
    return (2 * math.log(n) + math.log(3)) / (2 * math.sin(math.pi / modulus) ** 2)


def vectors(x: Tensor, modulus: int, c: float, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """``q, k1, k2, v1, v2`` of one head, ``[B, n + 1, 1, 6]``, for tokens ``x [B, n]``; position 0 is the blank."""
    theta = 2 * math.pi * x.double() / modulus
    cos, sin = theta.cos(), theta.sin()
    one, nil = torch.ones_like(cos), torch.zeros_like(cos)
    q = c * torch.stack([cos, sin, one, -sin, cos, one], -1)
    k1 = torch.stack([sin, cos, nil, -sin, -cos, nil], -1)
    k2 = torch.stack([nil, nil, cos, nil, nil, -sin], -1)
    v = torch.ones_like(k1)
    s, r = S_BLANK, R_BLANK
    blanks = ([0.0] * 6, [s, 0, 0, s, 0, 0], [0, r, 0, 0, r, 0], [0.0] * 6, [0.0] * 6)
    with_blank = []
    for values, blank in zip((q, k1, k2, v, v), blanks, strict=True):
        front = torch.tensor(blank, dtype=torch.float64).expand(len(x), 1, 6)
        with_blank.append(torch.cat([front, values], 1)[:, :, None].to(dtype))
    return with_blank


def weight_of_tokens(x: Tensor, modulus: int, c: float | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """``z [B, n]``: the weight that each query gives to pairs of tokens; the rest goes to pairs with the blank.

    ``c`` is 1.5 times :func:`inverse_temperature` unless given.
    """
    c = 1.5 * inverse_temperature(x.shape[1], modulus) if c is None else c
    o = reference.two_simplicial(*vectors(x, modulus, c, dtype), logits="determinant", scale=1.0).o
    return o[:, 1:, 0, 0]


def decide(z: Tensor) -> Tensor:
    """A feed-forward step from ``z`` to 0 or 1: ``relu(8 z - 1.5) - relu(8 z - 2.5)``, flat below 3/16 and above 5/16."""
    return torch.relu(8 * z - 1.5) - torch.relu(8 * z - 2.5)
