"""The dense oracle: dot-product, trilinear and determinant attention, forward and backward, written to be read.

Everything is computed in full, in the dtype of the inputs (use fp64 when you compare). Layout ``[B, S, H, D]``; key and value heads
``Hkv`` divide the query heads ``H``. Axes: ``b`` batch, ``h`` head, ``i`` query, ``j`` first key, ``k`` second key, ``d`` channel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from simplex_lab.windows import same_document, visible, visible_pairs

Q = Float[Tensor, "B S H D"]
KV = Float[Tensor, "B S Hkv D"]


class Attended(NamedTuple):
    """Output ``o [B, S, H, D]`` and ``lse2 [B, H, S]``, the base-2 logarithm of the softmax denominator."""

    o: Float[Tensor, "B S H D"]
    lse2: Float[Tensor, "B H S"]


# --- dot product -----------------------------------------------------------------------------------------------------


def dot_product_logits(q: Q, k: KV, *, scale: float | None = None) -> Float[Tensor, "B H S S"]:
    """``A_ij = scale * sum_d q_id k_jd`` with ``scale = D**-0.5`` unless given (arXiv:2507.02754, eq. 2)."""
    _check(q, k=k)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return scale * torch.einsum("bihd,bjhd->bhij", q, _share(k, q))


def dot_product(q: Q, k: KV, v: KV, *, w: int | None = None, causal: bool = True, scale: float | None = None) -> Attended:
    """Dot-product attention: ``o_i = sum_j softmax_j(A_ij) v_j`` (eqs 3 and 4).

    Raises:
        ValueError: shapes that do not fit, naming the argument and both values.
    """
    _check(q, k=k, v=v)
    A = dot_product_logits(q, k, scale=scale)
    A = A.masked_fill(~visible(q.shape[1], w, causal=causal, device=q.device), -torch.inf)
    o = torch.einsum("bhij,bjhd->bihd", A.softmax(-1), _share(v, q))
    return Attended(o, A.logsumexp(-1) / math.log(2))


def dot_product_backward(q, k, v, o, lse2, do, *, w=None, causal=True, scale=None) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients ``(dq, dk, dv)`` for the gradient ``do`` of ``o``; the weights are recomputed from ``lse2``."""
    _check(q, k=k, v=v)
    _check_like(q, do=do)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    ks, vs = _share(k, q), _share(v, q)
    see = visible(q.shape[1], w, causal=causal, device=q.device)
    P = torch.exp2(dot_product_logits(q, k, scale=scale) / math.log(2) - lse2[..., None]).masked_fill(~see, 0)
    dP = torch.einsum("bihd,bjhd->bhij", do, vs)
    delta = (o * do).sum(-1).transpose(1, 2)[..., None]
    dA = P * (dP - delta)
    dq = scale * torch.einsum("bhij,bjhd->bihd", dA, ks)
    dk = scale * torch.einsum("bhij,bihd->bjhd", dA, q)
    dv = torch.einsum("bhij,bihd->bjhd", P, do)
    return dq, _gather(dk, k), _gather(dv, v)


# --- triples: trilinear and determinant logits -----------------------------------------------------------------------


def trilinear_logits(q: Q, k1: KV, k2: KV, *, scale: float | None = None) -> Float[Tensor, "B H S S S"]:
    """``A_ijk = scale * sum_d q_id k1_jd k2_kd`` with ``scale = D**-0.5`` unless given (eq. 5)."""
    return _logits(q, k1, k2, "trilinear", scale)


def determinant_logits(q: Q, k1: KV, k2: KV, *, scale: float | None = None) -> Float[Tensor, "B H S S S"]:
    """``A_ijk = scale * sum_l det[q_i, k1_j, k2_k]`` over channel chunks ``l`` of three (eq. 9).

    When ``D = 3 p + r`` the last ``r`` channels enter by their plain product. The default scale ``(6 p + r)**-0.5`` gives unit variance
    for unit normal inputs; the paper has none.
    """
    return _logits(q, k1, k2, "determinant", scale)


def two_simplicial(
    q: Q,
    k1: KV,
    k2: KV,
    v1: KV,
    v2: KV,
    *,
    w1: int | None = None,
    w2: int | None = None,
    causal: bool = True,
    scale: float | None = None,
    logits: str = "trilinear",
    documents: Int[Tensor, "B S"] | None = None,
) -> Attended:
    """2-simplicial attention: ``o_i = sum_jk P_ijk (v1_j * v2_k)``, ``P_i = softmax of A_i`` jointly over ``(j, k)`` (eqs 5 to 7).

    With ``documents`` (packed sequences) a query sees only pairs of its own document, a run of equal numbers.

    Raises:
        ValueError: shapes that do not fit, or ``logits`` neither ``"trilinear"`` nor ``"determinant"``.
    """
    _check(q, k1=k1, k2=k2, v1=v1, v2=v2)
    S = q.shape[1]
    A = _logits(q, k1, k2, logits, scale)
    A = A.masked_fill(~_visible_pairs(S, w1, w2, causal, documents, q.device), -torch.inf).flatten(-2)
    P = A.softmax(-1).unflatten(-1, (S, S))
    o = _weigh(P, _share(v1, q), _share(v2, q))
    return Attended(o, A.logsumexp(-1) / math.log(2))


def two_simplicial_backward(
    q, k1, k2, v1, v2, o, lse2, do, *, w1=None, w2=None, causal=True, scale=None, logits="trilinear", documents=None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients ``(dq, dk1, dk2, dv1, dv2)`` (eqs 10 to 16, with the errata: weights P, not logits; the sum of eq. 15; the scale)."""
    _check(q, k1=k1, k2=k2, v1=v1, v2=v2)
    _check_like(q, do=do)
    scale = default_scale(q.shape[-1], logits) if scale is None else scale
    K1, K2, V1, V2 = (_share(x, q) for x in (k1, k2, v1, v2))
    see = _visible_pairs(q.shape[1], w1, w2, causal, documents, q.device)
    P = torch.exp2(_logits(q, k1, k2, logits, scale) / math.log(2) - lse2[..., None, None]).masked_fill(~see, 0)
    dP = torch.einsum("bihd,bjhd,bkhd->bhijk", do, V1, V2)
    delta = (o * do).sum(-1).transpose(1, 2)[..., None, None]
    dA = P * (dP - delta)
    dv1 = torch.einsum("bhijk,bihd,bkhd->bjhd", P, do, V2)
    dv2 = torch.einsum("bhijk,bihd,bjhd->bkhd", P, do, V1)
    dq = dk1 = dk2 = 0
    for a, b, c in _products(q, K1, K2, logits):  # the form is linear in each argument: sum over its trilinear parts
        dq = dq + a.undo(torch.einsum("bhijk,bjhd,bkhd->bihd", dA, b.x, c.x))
        dk1 = dk1 + b.undo(torch.einsum("bhijk,bihd,bkhd->bjhd", dA, a.x, c.x))
        dk2 = dk2 + c.undo(torch.einsum("bhijk,bihd,bjhd->bkhd", dA, a.x, b.x))
    return (scale * dq, _gather(scale * dk1, k1), _gather(scale * dk2, k2), _gather(dv1, v1), _gather(dv2, v2))


def det3(a: Float[Tensor, "*n 3"], b: Float[Tensor, "*n 3"], c: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
    """``det[a; b; c] = (a x b) . c``, the signed volume of the box that the three vectors span."""
    return (torch.linalg.cross(a, b) * c).sum(-1)


def default_scale(D: int, logits: str) -> float:
    """The factor that gives the logits unit variance for unit normal inputs of head dimension ``D``."""
    if logits == "trilinear":
        return D**-0.5
    if logits == "determinant":
        return (6 * (D // 3) + D % 3) ** -0.5
    raise ValueError(f"logits={logits!r}: choose 'trilinear' or 'determinant'")


# --- helpers ---------------------------------------------------------------------------------------------------------


def _visible_pairs(S, w1, w2, causal, documents, device):
    """``[S, S, S]``, or ``[B, 1, S, S, S]`` with documents."""
    see = visible_pairs(S, w1, w2, causal=causal, device=device)
    if documents is None:
        return see
    own = same_document(documents)
    return (see & own[:, :, :, None] & own[:, :, None, :])[:, None]


class _Signed(NamedTuple):
    """Channels of a tensor, chosen and with a common sign: ``x`` holds them, ``undo`` takes a gradient back to all ``D`` channels."""

    x: Tensor
    index: Tensor | None = None  # None: all of them, as they are
    sign: int = 1
    D: int = 0

    def undo(self, g: Tensor) -> Tensor:
        return g if self.index is None else g.new_zeros(*g.shape[:-1], self.D).index_add_(-1, self.index, self.sign * g)


def _permuted(x: Tensor, index: list[int], sign: int = 1) -> _Signed:
    chosen = torch.tensor(index, device=x.device, dtype=torch.long)
    return _Signed(sign * x[..., chosen], chosen, sign, x.shape[-1])


def _products(q, k1, k2, logits):
    """The form as a sum of plain trilinear products: one for ``"trilinear"``, two by the rule of Sarrus for ``"determinant"`` (eq. 8)."""
    D = q.shape[-1]
    if logits == "trilinear":
        return [(_Signed(q), _Signed(k1), _Signed(k2))]
    if logits != "determinant":
        raise ValueError(f"logits={logits!r}: choose 'trilinear' or 'determinant'")
    same = list(range(D))
    whole = D - D % 3
    turn = [c - c % 3 + (c % 3 + 1) % 3 for c in range(whole)]  # (2, 3, 1) in every chunk
    back = [c - c % 3 + (c % 3 + 2) % 3 for c in range(whole)]  # (3, 1, 2) in every chunk
    rest = same[whole:]
    plus = (_permuted(q, same), _permuted(k1, turn + rest), _permuted(k2, back + rest))
    minus = (_permuted(q, same[:whole], -1), _permuted(k1, back), _permuted(k2, turn))
    return [plus, minus]


def _logits(q, k1, k2, logits, scale):
    _check(q, k1=k1, k2=k2)
    scale = default_scale(q.shape[-1], logits) if scale is None else scale
    parts = _products(q, _share(k1, q), _share(k2, q), logits)
    return scale * sum(_trilinear(a.x, b.x, c.x) for a, b, c in parts)


def _trilinear(q, k1, k2):
    """``A_ijk = sum_d q_id k1_jd k2_kd``: the elementwise product first, then one matmul, as the kernels do it."""
    q, k1, k2 = (x.transpose(1, 2) for x in (q, k1, k2))  # [B, H, S, D]
    qk1 = q[:, :, :, None, :] * k1[:, :, None, :, :]  # [B, H, S, S, D]
    return (qk1.flatten(2, 3) @ k2.transpose(-1, -2)).unflatten(2, (q.shape[2], k1.shape[2]))


def _weigh(P, v1, v2):
    """``o_id = sum_j v1_jd (sum_k P_ijk v2_kd)``: ``v1_j`` stays outside the matmul."""
    v1, v2 = v1.transpose(1, 2), v2.transpose(1, 2)  # [B, H, S, D]
    inner = (P.flatten(2, 3) @ v2).unflatten(2, P.shape[2:4])  # [B, H, S, S, D]
    return (inner * v1[:, :, None]).sum(3).transpose(1, 2)


def _share(x: Tensor, q: Tensor) -> Tensor:
    """Give every query head its key/value head: head ``h`` of ``q`` uses head ``h // (H // Hkv)`` of ``x``."""
    return x.repeat_interleave(q.shape[2] // x.shape[2], dim=2)


def _gather(g: Tensor, x: Tensor) -> Tensor:
    """The transpose of :func:`_share`: add up the gradients of the query heads that shared a head of ``x``."""
    return g.unflatten(2, (x.shape[2], -1)).sum(3)


def _check_like(q: Tensor, *, do: Tensor) -> None:
    for axis, what in enumerate(("batch", "sequence", "head", "channel")):
        if do.shape[axis] != q.shape[axis]:
            raise ValueError(f"do has {what} size {do.shape[axis]}, q has {q.shape[axis]}")


def _check(q: Tensor, **others: Tensor) -> None:
    if q.dim() != 4:
        raise ValueError(f"q has {q.dim()} dimensions {tuple(q.shape)}, expected 4: [B, S, H, D]")
    first = None
    for name, x in others.items():
        if x.dim() != 4:
            raise ValueError(f"{name} has {x.dim()} dimensions {tuple(x.shape)}, expected 4: [B, S, Hkv, D]")
        for axis, what in ((0, "batch"), (1, "sequence"), (3, "channel")):
            if x.shape[axis] != q.shape[axis]:
                raise ValueError(f"{name} has {what} size {x.shape[axis]}, q has {q.shape[axis]}")
        if x.shape[2] == 0 or q.shape[2] % x.shape[2]:
            raise ValueError(f"{name} has {x.shape[2]} heads, q has {q.shape[2]}: heads of {name} must divide heads of q")
        first = first or (name, x.shape[2])
        if x.shape[2] != first[1]:
            raise ValueError(f"{name} has {x.shape[2]} heads, {first[0]} has {first[1]}")
        if x.dtype != q.dtype:
            raise ValueError(f"{name} has dtype {x.dtype}, q has {q.dtype}")
        if x.device != q.device:
            raise ValueError(f"{name} is on {x.device}, q is on {q.device}")
