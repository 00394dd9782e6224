"""What one would write in PyTorch without a kernel: the peers that ``simplex-lab bench`` times the kernels against.

All compute the windowed operation of :func:`simplex_lab.reference.two_simplicial` in layout ``[B, S, H, D]`` and are differentiable.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F


def unfolded(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, *, w1: int, w2: int, return_lse2: bool = False):
    """Give every query its two windows and multiply batches of small matrices: memory ``O(S (w1 w2 + (w1 + w2) D))`` a head.

    Returns ``o``, or ``o`` and ``lse2 [B, H, S]``.
    """
    B, S, H, D = q.shape
    Hkv = k1.shape[2]
    K1, V1 = (_window(x, w1) for x in (k1, v1))  # [B, S, Hkv, w1, D]
    K2, V2 = (_window(x, w2) for x in (k2, v2))  # [B, S, Hkv, w2, D]
    qk1 = (q.view(B, S, Hkv, H // Hkv, 1, D) * K1[:, :, :, None]).flatten(3, 4)  # [B, S, Hkv, G w1, D]
    A = (qk1 @ K2.transpose(-1, -2)).to(_wide(q)) * D**-0.5
    i = torch.arange(S, device=q.device)[:, None]
    see1, see2 = (i - (w - 1) + torch.arange(w, device=q.device) >= 0 for w in (w1, w2))
    A = A.unflatten(3, (H // Hkv, w1)).masked_fill(~(see1[:, :, None] & see2[:, None, :])[None, :, None, None], -torch.inf)
    P = A.flatten(4).softmax(-1).to(q.dtype).unflatten(4, (w1, w2))
    inner = (P.flatten(3, 4) @ V2).unflatten(3, (H // Hkv, w1))
    o = (inner * V1[:, :, :, None]).sum(4).flatten(2, 3)
    return (o, A.flatten(4).logsumexp(-1).flatten(2).transpose(1, 2) / math.log(2)) if return_lse2 else o


def blocked(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, *, w1: int, w2: int, block: int | None = None) -> Tensor:
    """Blocks of queries share one run of second keys, so that nothing but ``q * k1`` is unfolded: memory ``O(S w1 (w2 + block + D))``."""
    B, S, H, D = q.shape
    Hkv, C = k1.shape[2], block or w2
    n, pad = -(-S // C), -S % C
    G = H // Hkv
    qp = F.pad(q, (0, 0, 0, 0, 0, pad)).view(B, n * C, Hkv, G, 1, D)
    K1, V1 = (_window(F.pad(x, (0, 0, 0, 0, 0, pad)), w1)[:, :, :, None] for x in (k1, v1))  # [B, n C, Hkv, 1, w1, D]
    runs = (F.pad(x, (0, 0, 0, 0, w2 - 1, pad)).unfold(1, w2 - 1 + C, C) for x in (k2, v2))
    K2, V2 = (x.permute(0, 2, 1, 4, 3) for x in runs)  # [B, Hkv, n, w2-1+C, D]
    qk1 = (qp * K1).view(B, n, C, Hkv, G, w1, D).permute(0, 3, 1, 2, 4, 5, 6)  # [B, Hkv, n, C, G, w1, D]
    A = (qk1.reshape(B, Hkv, n, C * G * w1, D) @ K2.transpose(-1, -2)).to(_wide(q)) * D**-0.5
    r = torch.arange(C, device=q.device)
    first = torch.arange(n, device=q.device)[:, None, None] * C
    k = torch.arange(w2 - 1 + C, device=q.device) - (w2 - 1)  # relative to the first query of the block
    see2 = (k <= r[:, None]) & (k > r[:, None] - w2) & (k + first >= 0)  # [n, C, w2-1+C]
    see1 = r[:, None] + first - (w1 - 1) + torch.arange(w1, device=q.device) >= 0  # [n, C, w1]
    A = A.view(B, Hkv, n, C, G, w1, -1).masked_fill(~(see1[:, :, None, :, None] & see2[:, :, None, None, :]), -torch.inf)
    P = A.flatten(5).softmax(-1).to(q.dtype).view(B, Hkv, n, C * G * w1, -1)
    inner = (P @ V2).view(B, Hkv, n, C, G, w1, D).permute(0, 2, 3, 1, 4, 5, 6).reshape(B, n * C, Hkv, G, w1, D)
    return (inner * V1).sum(4).flatten(2, 3)[:, :S]


def flex(q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, *, w1: int, w2: int) -> Tensor:
    """``w1`` sliding-window attentions, one for each distance of the first key, merged by their log-sum-exp.

    For the distance ``t`` the query is ``q_i * k1_(i-t)`` and the value ``v2_k``; what comes out is multiplied by ``v1_(i-t)``.
    """
    S, H = q.shape[1:3]
    Q, K2, V2 = (x.transpose(1, 2) for x in (q, k2, v2))  # [B, H, S, D]
    K1, V1 = (F.pad(x.transpose(1, 2), (0, 0, w1 - 1, 0)) for x in (k1, v1))  # zeros in front
    mask, step = _sliding_mask(S, w2, q.device), _compiled_step()
    best = torch.full((q.shape[0], H, S), -torch.inf, dtype=_wide(q), device=q.device)
    total, acc = torch.zeros_like(best), torch.zeros_like(Q, dtype=_wide(q))
    for t in range(w1):
        k1_t, v1_t = (x[:, :, w1 - 1 - t : w1 - 1 - t + S] for x in (K1, V1))
        exists = torch.arange(S, device=q.device) >= t
        best, total, acc = step(best, total, acc, Q, k1_t, K2, v1_t, V2, mask, exists)
    return (acc / total[..., None]).to(q.dtype).transpose(1, 2)


@functools.cache
def _compiled_step():
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(functools.partial(_step, flex_attention), dynamic=False)


@functools.cache
def _sliding_mask(S: int, w: int, device):
    from torch.nn.attention.flex_attention import create_block_mask

    return create_block_mask(lambda b, h, i, k: (k <= i) & (k > i - w), B=None, H=None, Q_LEN=S, KV_LEN=S, device=device)


def _step(attend, best, total, acc, Q, k1, K2, v1, V2, mask, exists):
    """One distance of the first key: attend with ``Q * k1``, merge what comes out by its log-sum-exp."""
    group = Q.shape[1] // k1.shape[1]
    o, lse = attend(Q * k1.repeat_interleave(group, 1), K2, V2, block_mask=mask, return_lse=True, enable_gqa=group > 1)
    lse = torch.where(exists, lse.to(best.dtype), -torch.inf)
    new = torch.maximum(best, lse)
    old, weight = (best - new).exp(), (lse - new).exp()
    merged = acc * old[..., None] + weight[..., None] * (o.to(acc.dtype) * v1.repeat_interleave(group, 1))
    return new, total * old + weight, merged


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _window(x: Tensor, w: int) -> Tensor:
    """``[B, S, H, D] -> [B, S, H, w, D]``: for every position its last ``w``, oldest first, zeros before the start."""
    return F.pad(x, (0, 0, 0, 0, w - 1, 0)).unfold(1, w, 1).transpose(-1, -2)
