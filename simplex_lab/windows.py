"""Masks, windows and cost formulas: the only place where they are defined.

Query ``i`` sees the first key ``j`` when ``i - w1 < j <= i`` and the second key ``k`` when ``i - w2 < k <= i``. A window counts the
query's own position, so ``w = 1`` sees only itself and ``w = None`` sees the whole past.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def visible(S: int, w: int | None = None, *, causal: bool = True, device=None) -> Bool[Tensor, "S S"]:
    """``visible[i, j]`` is True when query ``i`` sees key ``j``: ``i - w < j <= i``, or every ``j`` if not causal.

    Raises:
        ValueError: ``S`` or ``w`` is below 1, or a window is asked for without ``causal``.
    """
    if S < 1:
        raise ValueError(f"S={S}: a sequence needs at least 1 position")
    _check_window("w", w)
    if not causal:
        if w is not None:
            raise ValueError(f"w={w} with causal=False: windows are defined for causal attention only")
        return torch.ones(S, S, dtype=torch.bool, device=device)
    i = torch.arange(S, device=device)[:, None]
    j = torch.arange(S, device=device)[None, :]
    return (j <= i) & (j > i - (S if w is None else w))


def visible_pairs(S: int, w1: int | None = None, w2: int | None = None, *, causal: bool = True, device=None) -> Bool[Tensor, "S S S"]:
    """``visible_pairs[i, j, k]`` is True when query ``i`` sees first key ``j`` (window ``w1``) and second key ``k`` (``w2``)."""
    _check_window("w1", w1)
    _check_window("w2", w2)
    see_j = visible(S, w1, causal=causal, device=device)
    see_k = visible(S, w2, causal=causal, device=device)
    return see_j[:, :, None] & see_k[:, None, :]


def same_document(documents: Int[Tensor, "B S"]) -> Bool[Tensor, "B S S"]:
    """``same_document[b, i, j]`` is True when ``i`` and ``j`` lie in one document of a packed sequence: a run of equal numbers."""
    run = torch.cat([torch.zeros_like(documents[:, :1]), (documents[:, 1:] != documents[:, :-1]).to(documents.dtype).cumsum(1)], 1)
    return run[:, :, None] == run[:, None, :]


def count_pairs(S: int, w: int | None = None) -> int:
    """Number of visible ``(i, j)``: ``sum_i min(i + 1, w)``."""
    _check_window("w", w)
    w = min(w or S, S)
    return w * (w + 1) // 2 + (S - w) * w


def count_triples(S: int, w1: int | None = None, w2: int | None = None) -> int:
    """Number of visible ``(i, j, k)``: ``sum_i min(i + 1, w1) * min(i + 1, w2)``."""
    _check_window("w1", w1)
    _check_window("w2", w2)
    w1, w2 = min(w1 or S, S), min(w2 or S, S)
    edge = max(w1, w2)  # from here on both windows are full
    return sum(min(i + 1, w1) * min(i + 1, w2) for i in range(edge)) + (S - edge) * w1 * w2


def dot_product_flops(S: int, D: int, w: int | None = None) -> int:
    """Tensor-core FLOPs of one head of dot-product attention: two products of ``2 D`` each per visible pair."""
    return 4 * D * count_pairs(S, w)


def two_simplicial_flops(S: int, D: int, w1: int | None = None, w2: int | None = None, *, convention: str = "matmul") -> int:
    """FLOPs of one head of 2-simplicial attention, per visible triple.

    ``"matmul"`` counts what tensor cores do, ``4 D``: one product for the logits, one for the output. ``"paper"`` counts ``6 D``: it adds
    the elementwise product ``q * k1_j`` as if it were done anew for every ``k`` (arXiv:2507.02754, section 6).
    """
    per_triple = {"matmul": 4, "paper": 6}
    if convention not in per_triple:
        raise ValueError(f"convention={convention!r}: choose one of {sorted(per_triple)}")
    return per_triple[convention] * D * count_triples(S, w1, w2)


def equal_context(w1: int, w2: int, *, convention: str = "matmul") -> int:
    """Context at which causal dot-product attention over all keys costs as much as triples in windows: ``2 w1 w2`` or ``3 w1 w2``.

    Each query sees ``n / 2`` keys on average at ``4 D`` a pair, and ``w1 w2`` pairs of keys at ``4 D`` (``"matmul"``) or ``6 D``
    (``"paper"``) a triple; edges of the sequence are left out.
    """
    per_triple = two_simplicial_flops(1, 1, convention=convention)
    return w1 * w2 * per_triple // 2


def executed_share(positions: int, w1: int, w2: int, block_k: int = 1) -> float:
    """Pairs that a program executes for each one that its rows see, when it holds ``positions`` neighbouring queries.

    It walks over all first keys that some row sees, ``positions + w1 - 1``, and over whole tiles of the ``positions + w2 - 1`` second
    keys. With one position, and heads as rows, only the last tile's rest is wasted.
    """
    second = -(-(positions + w2 - 1) // block_k) * block_k
    return (positions + w1 - 1) * second / (w1 * w2)


def logits_bytes(S: int, heads: int, *, order: int, bytes_per_number: int = 4) -> int:
    """Memory of the full logits, ``S ** order`` numbers a head: 2 for the S x S matrix, 3 for the S x S x S cube."""
    if order not in (2, 3):
        raise ValueError(f"order={order}: 2 for pairs of tokens, 3 for triples")
    return heads * S**order * bytes_per_number


def key_rows_loaded(first: int, second: int, block_k: int, *, outer: str) -> int:
    """Rows of keys (each with its value) that a program loads for ``first x second`` keys in tiles of ``block_k`` second keys.

    ``outer="k"``: a tile of second keys stays while all first keys pass, so these come once for every tile. ``outer="j"``: a first key
    stays while all tiles of second keys pass, so these come once for every first key.
    """
    if outer not in ("j", "k"):
        raise ValueError(f"outer={outer!r}: choose 'j' or 'k'")
    tiles = -(-second // block_k)
    return second + tiles * first if outer == "k" else first + first * second


def _check_window(name: str, w: int | None) -> None:
    if w is not None and w < 1:
        raise ValueError(f"{name}={w}: a window needs at least 1 position, the query's own")
