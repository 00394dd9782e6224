"""2-simplicial attention by tiles, in PyTorch: the loops of each kernel of ``simplex_kernels``, with the same names.

A *program* owns some rows, all of one key head: ``rows`` query positions x heads. It never holds more than one tile of scores. On a GPU
thousands of programs run side by side; here :func:`forward` and :func:`backward` run them one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from simplex_lab.reference import Attended

LOWEST = -1e30  # a running maximum that has seen nothing: LOWEST - LOWEST is 0, where -inf - -inf is nan


def forward(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, *, w1: int, w2: int, rows: int = 16, block_k: int = 16) -> Attended:
    """``o [B, S, H, D]`` and ``lse2 [B, H, S]`` of causal attention under two windows; shapes as in ``reference.two_simplicial``."""
    o, lse2 = torch.empty_like(q), q.new_empty(q.shape[0], q.shape[2], q.shape[1])
    for b, hkv, heads, i in programs(q, k1, rows):
        mine = q[b, i, heads]
        o[b, i, heads], lse2[b, heads, i] = forward_program(
            mine, *(x[b, :, hkv] for x in (k1, k2, v1, v2)), i=i, w1=w1, w2=w2, block_k=block_k
        )
    return Attended(o, lse2)


def forward_program(
    q, k1, k2, v1, v2, *, i, w1, w2, block_k, trace: list | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One program of ``forward.py``: rows ``q [ROWS, D]`` at positions ``i [ROWS]`` against the keys ``[S, D]`` of one head.

    ``trace`` collects ``(j, k0, m, l, acc)`` after every step.
    """
    scale_log2 = q.shape[1] ** -0.5 * math.log2(math.e)
    i_first, end = int(i.min()), int(i.max()) + 1
    j_lo, k_lo = max(i_first - w1 + 1, 0), max(i_first - w2 + 1, 0)
    acc, l = torch.zeros_like(q), q.new_zeros(len(i))
    m = q.new_full((len(i),), LOWEST)
    for k0 in range(k_lo, end, block_k):  # a tile of second keys stays ...
        k = torch.arange(k0, min(k0 + block_k, end))
        K2, V2 = k2[k], v2[k]
        see_k = sees(i[:, None], k[None, :], w2)
        for j in range(j_lo, end):  # ... while the first keys pass by
            see = see_k & sees(i, j, w1)[:, None]
            s2 = (q * k1[j]) @ K2.T * scale_log2
            s2 = torch.where(see, s2, -torch.inf)
            m_new = torch.maximum(m, s2.amax(1))
            alpha = torch.exp2(m - m_new)
            p = torch.exp2(s2 - m_new[:, None])
            l = l * alpha + p.sum(1)
            acc = acc * alpha[:, None] + (p @ V2) * v1[j]
            m = m_new
            if trace is not None:
                trace.append((j, k0, m, l, acc))
    return acc / l[:, None], m + torch.log2(l)


def backward(
    q, k1, k2, v1, v2, o, lse2, do, *, w1: int, w2: int, rows: int = 16, block_k: int = 16, block_j: int = 8
) -> tuple[Tensor, ...]:
    """Gradients ``(dq, dk1, dk2, dv1, dv2)`` for the gradient ``do`` of ``o``, from the log-sum-exp that the forward kept."""
    B, S = q.shape[:2]
    delta = (o * do).sum(-1)
    dq = torch.empty_like(q)
    for b, hkv, heads, i in programs(q, k1, rows):
        dq[b, i, heads] = backward_query_program(
            q[b, i, heads], *(x[b, :, hkv] for x in (k1, k2, v1, v2)), do[b, i, heads], lse2[b, heads, i], delta[b, i, heads],
            i=i, w1=w1, w2=w2, block_k=block_k,
        )  # fmt: skip
    dk1, dk2, dv1, dv2 = (torch.zeros_like(x) for x in (k1, k2, v1, v2))
    group = q.shape[2] // k1.shape[2]
    for b in range(B):
        for hkv in range(k1.shape[2]):
            heads = slice(hkv * group, (hkv + 1) * group)
            rows_of = (q[b, :, heads], do[b, :, heads], lse2[b, heads].T, delta[b, :, heads])
            for j0 in range(0, S, block_j):
                for k0 in range(max(j0 - w2 + 1, 0), min(j0 + block_j + w1 - 1, S), block_k):
                    j, k = torch.arange(j0, min(j0 + block_j, S)), torch.arange(k0, min(k0 + block_k, S))
                    keys = (k1[b, j, hkv], k2[b, k, hkv], v1[b, j, hkv], v2[b, k, hkv])
                    parts = backward_keys_program(*rows_of, *keys, j=j, k=k, w1=w1, w2=w2)
                    # the kernels write such parts to memory and add them up afterwards, in a fixed order
                    for total, at, part in zip((dk1, dv1, dk2, dv2), (j, j, k, k), parts, strict=True):
                        total[b, at, hkv] += part
    return dq, dk1, dk2, dv1, dv2


def backward_query_program(
    q, k1, k2, v1, v2, do, lse2, delta, *, i, w1, w2, block_k
) -> Tensor:  # fmt: skip
    """One program of ``backward_query.py``: ``dq`` of its rows. The loops are the forward's; the weights come from ``lse2``."""
    scale = q.shape[1] ** -0.5
    i_first, end = int(i.min()), int(i.max()) + 1
    j_lo, k_lo = max(i_first - w1 + 1, 0), max(i_first - w2 + 1, 0)
    dq = torch.zeros_like(q)
    for k0 in range(k_lo, end, block_k):
        k = torch.arange(k0, min(k0 + block_k, end))
        K2, V2 = k2[k], v2[k]
        see_k = sees(i[:, None], k[None, :], w2)
        for j in range(j_lo, end):
            see = see_k & sees(i, j, w1)[:, None]
            s2 = (q * k1[j]) @ K2.T * scale * math.log2(math.e)
            p = torch.where(see, torch.exp2(s2 - lse2[:, None]), 0.0)
            dp = (do * v1[j]) @ V2.T
            da = p * (dp - delta[:, None])
            dq += (da @ K2) * k1[j]
    return dq * scale


def backward_keys_program(
    q, do, lse2, delta, k1, k2, v1, v2, *, j, k, w1, w2
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """One program of ``backward_keys.py``: what the pairs of a block of first keys ``j`` and a tile of second keys ``k`` receive.

    ``q, do [S, G, D]`` and ``lse2, delta [S, G]`` are the rows of all heads that share the keys; ``k1, v1`` belong to ``j``, ``k2, v2``
    to ``k``. For one ``j`` the keys of its pairs are the tile ``KK = k1_j * K2``, and both keys' gradients come from the one of ``KK``.
    """
    scale = q.shape[2] ** -0.5
    dk1, dv1, dk2, dv2 = (torch.zeros_like(x) for x in (k1, v1, k2, v2))
    for n in range(len(j)):
        dKK, dVV = torch.zeros_like(k2), torch.zeros_like(v2)
        # the queries that see j and some k of the tile
        i_lo = max(int(j[n]), int(k[0]))
        i_hi = min(int(j[n]) + w1, int(k[-1]) + w2, len(q))
        for i in range(i_lo, i_hi):
            s2 = k2 @ (q[i] * k1[n]).T * scale * math.log2(math.e)  # [BLOCK_K, G]
            p = torch.where(sees(i, k, w2)[:, None], torch.exp2(s2 - lse2[i]), 0.0)
            dp = (v2 * v1[n]) @ do[i].T
            da = p * (dp - delta[i])
            dKK += da @ q[i]
            dVV += p @ do[i]
        dk1[n], dk2 = (dKK * k2).sum(0), dk2 + dKK * k1[n]
        dv1[n], dv2 = (dVV * v2).sum(0), dv2 + dVV * v1[n]
    return dk1 * scale, dv1, dk2 * scale, dv2


def sees(i, x, w: int):
    """Does the query at ``i`` see the key at ``x``? ``i - w < x <= i``; shapes broadcast."""
    return (x <= i) & (x > i - w)


def programs(q: Tensor, k1: Tensor, rows: int) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """The grid: batch entry, key head, and for each row of the program its query head and position.

    As many heads of the group as fit, then positions, so that ``rows`` are filled whatever the group's size.
    """
    B, S, H, _ = q.shape
    group = H // k1.shape[2]
    heads_at_once = min(group, rows)
    positions = rows // heads_at_once
    for b in range(B):
        for hkv in range(k1.shape[2]):
            for i_first in range(0, S, positions):
                for h_first in range(hkv * group, (hkv + 1) * group, heads_at_once):
                    i = torch.arange(i_first, min(i_first + positions, S))
                    heads = torch.arange(h_first, min(h_first + heads_at_once, (hkv + 1) * group))
                    yield b, hkv, heads.repeat(len(i)), i.repeat_interleave(len(heads))
