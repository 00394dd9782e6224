"""Device functions that the kernels share: rows and tiles from memory, a determinant's channel turns, which pairs a row sees, delta."""

import triton
import triton.language as tl

# Stands for minus infinity in a running maximum: LOWEST - LOWEST is 0, where -inf minus -inf is NaN.
LOWEST = tl.constexpr(-1.0e30)
INV_LN2 = tl.constexpr(1.4426950408889634)


@triton.jit
def load_row(ptr, row, stride, d, D: tl.constexpr, bias, BIASED: tl.constexpr):
    """Channels ``d`` of row ``row``, plus the bias, as ``[1, BLOCK_D]``."""
    x = tl.load(ptr + tl.cast(row, tl.int64) * stride + d, mask=d < D, other=0.0)[None, :]
    if BIASED:
        x = (x + bias).to(ptr.dtype.element_ty)
    return x


@triton.jit
def load_tile(ptr, first, rows, in_rows, stride, d, D: tl.constexpr, bias, BIASED: tl.constexpr, AGAIN: tl.constexpr = False):
    """Channels ``d`` of the rows ``first + rows``, plus the bias, as ``[ROWS, BLOCK_D]``; zeros (plus bias) where ``in_rows`` is false.

    ``AGAIN`` marks a second load of a tile. It names the cache policy that is the default anyway, so that the compiler does not merge it
    with the first: keeping the tile in registers in between is what we want to avoid.
    """
    at = ptr + tl.cast(first, tl.int64) * stride + rows[:, None] * stride + d[None, :]
    if AGAIN:
        x = tl.load(at, mask=in_rows[:, None] & (d < D)[None, :], other=0.0, cache_modifier=".ca")
    else:
        x = tl.load(at, mask=in_rows[:, None] & (d < D)[None, :], other=0.0)
    if BIASED:
        x = (x + bias).to(ptr.dtype.element_ty)
    return x


@triton.jit
def load_seen(ptr, first, rows, stride, d, D: tl.constexpr):
    """Channels ``d`` of the rows ``first + rows``, all of which exist, as ``[ROWS, BLOCK_D]``."""
    at = ptr + tl.cast(first, tl.int64) * stride + rows[:, None] * stride + d[None, :]
    if d.shape[0] == D:
        return tl.load(at)
    else:
        return tl.load(at, mask=(d < D)[None, :], other=0.0)


@triton.jit
def turns(d, D: tl.constexpr, DETERMINANT: tl.constexpr):
    """Channels turned within their chunk of three: ``(c -> c + 1, c -> c - 1, is c in a whole chunk?)``; the remainder stays.

    With them ``(a x b)_c = a[turn] b[back] - a[back] b[turn]``. ``DETERMINANT = -1`` exchanges the two, which changes the sign, as trading
    the places of the two keys asks for.
    """
    whole = d < D - D % 3
    STEP: tl.constexpr = 1 if DETERMINANT == 1 else 2
    turn = tl.where(whole, d - d % 3 + (d % 3 + STEP) % 3, d)
    back = tl.where(whole, d - d % 3 + (d % 3 + 3 - STEP) % 3, d)
    return turn, back, whole


@triton.jit
def sees(i, start, x, w):
    """Does the query at position ``i`` see the key at ``x``? ``max(i - w + 1, start) <= x <= i``, shapes broadcast."""
    return (x <= i) & (x > i - w) & (x >= start)


@triton.jit
def row_delta(o, do, v1_ptr, v2_ptr, at, single, in_d, bias1, bias2, BIASED: tl.constexpr, ACC: tl.constexpr):
    """``sum_d o_d do_d`` of each row of ``o, do [ROWS, BLOCK_D]``; ``at`` is where the rows' own values lie in ``(v1_ptr, v2_ptr)``.

    A row that sees a single pair, itself, has a weight of 1 whatever its logit, so no gradient may come through it. There ``delta`` is
    the sum that ``dP`` is, with the same rounding: ``dP - delta`` is 0, and not the rounding error of ``o``. As the query's side rounds
    ``do * v1`` and the keys' side ``v1 * v2``, there are two: ``(delta, delta of the keys' side)``.
    """
    mask = single[:, None] & in_d[None, :]
    v1 = tl.load(v1_ptr + at[0], mask=mask, other=0.0)
    v2 = tl.load(v2_ptr + at[1], mask=mask, other=0.0)
    if BIASED:
        v1 = (v1 + bias1).to(v1_ptr.dtype.element_ty)
        v2 = (v2 + bias2).to(v2_ptr.dtype.element_ty)
    usual = o.to(ACC) * do.to(ACC)
    delta = tl.sum(tl.where(single[:, None], (do * v1).to(ACC) * v2.to(ACC), usual), 1)
    keys_delta = tl.sum(tl.where(single[:, None], (v1 * v2).to(ACC) * do.to(ACC), usual), 1)
    return delta, keys_delta
