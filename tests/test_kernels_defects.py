"""Defects found in public implementations of this operation, each as a test; the pivot on both sides of its boundaries; which tiles ran."""

import inspect
import math
from collections import Counter

import pytest
import torch
from kernel_cases import CUDA, DEVICE, NAMES, Case, by_kernels, by_reference, check, draw, largest_weight, poison, tiles
from simplex_kernels import backward_keys, backward_query, forward, two_simplicial_attention
from simplex_kernels.configs import Tile, WindowTile
from test_kernels import OPTIONS, SHAPES
from test_kernels_window import CASES as WINDOW_CASES

from simplex_lab import reference

pytestmark = [pytest.mark.gpu] if CUDA else []
BOTH = pytest.mark.parametrize("window", [False, True], ids=["tiled", "window"])


# Defects


@BOTH
def test_defect_log_sum_exp_in_mixed_bases(window, monkeypatch):
    """Logits of 0 over n pairs have the denominator n: lse2 = log2 n, and the backward, which reads it, returns the mean's gradients."""
    case = Case(S=9, H=2, Hkv=1, w1=3, w2=5, B=1)
    x = draw(case)
    x[0] = torch.zeros_like(x[0])
    with tiles(monkeypatch, window=window):
        got = by_kernels(case, x)
    seen = [min(i + 1, 3) * min(i + 1, 5) for i in range(9)]
    torch.testing.assert_close(got["lse2"][0, 0].cpu(), torch.tensor([math.log2(n) for n in seen]), rtol=1e-6, atol=1e-6)
    check(case, x, got)


@pytest.mark.parametrize("w2", [1, 7, 16, 31, 32, 33, 48])
def test_defect_backward_for_one_window_only(w2, monkeypatch):
    with tiles(monkeypatch, window=False):
        check(Case(S=50, H=2, Hkv=1, w1=2, w2=w2, B=1))


@BOTH
def test_defect_backward_reads_keys_with_the_querys_strides(window, monkeypatch):
    """Keys have fewer heads than queries, and every tensor has its own strides."""
    case = Case(S=12, H=6, Hkv=2, w1=3, w2=5, B=2)
    x = draw(case)
    wide = [torch.cat([t] * n, 2)[:, :, : t.shape[2]] for n, t in zip((1, 2, 4, 5, 7, 2), x, strict=False)]
    assert len({t.stride() for t in wide}) == 6
    with tiles(monkeypatch, window=window):
        check(case, x, by_kernels(case, [*wide, x[6]]))


@BOTH
def test_defect_batch_offset_with_another_stride(window, monkeypatch):
    """Every other batch entry of a larger tensor: the batch stride is not S * H * D, and differs between tensors."""
    case = Case(S=10, H=2, Hkv=1, w1=3, w2=5, B=3)
    x = draw(case)
    apart = [torch.stack([t] + [torch.full_like(t, torch.nan)] * (n + 1), 1)[:, 0] for n, t in enumerate(x[:6])]
    with tiles(monkeypatch, window=window):
        check(case, x, by_kernels(case, [*apart, x[6]]))


@BOTH
@pytest.mark.parametrize("bias", ["k2_bias", "v2_bias"])
def test_defect_documented_biases_never_applied(bias, window, monkeypatch):
    case = Case(S=12, H=2, Hkv=1, w1=3, w2=5, B=1)
    x = draw(case)
    with tiles(monkeypatch, window=window):
        without = by_kernels(case, x)
        biased = Case(**(vars(case) | {bias: 0.7}))
        got = by_kernels(biased, x)
    assert not torch.allclose(got["o"], without["o"], rtol=1e-2)
    check(biased, x, got)


@pytest.mark.parametrize("sizes", [(16, 32, 16), (32, 16, 8), (64, 16, 32), (16, 64, 64)], ids=str)
def test_defect_grid_divided_by_another_block_size(sizes, monkeypatch):
    """Tiles of different sizes, none of which divides S, over outputs that hold NaN at first."""
    poison(monkeypatch)
    rows, block_k, block_j = sizes
    tile = Tile(rows=rows, block_k=block_k, block_j=block_j)
    with tiles(monkeypatch, window=False, forward=tile, backward_query=tile, backward_keys=tile):
        check(Case(S=37, H=3, Hkv=1, w1=3, w2=18, B=1))


@pytest.mark.parametrize("positions", [1, 5, 16, 64])
def test_defect_grid_divided_by_another_block_size_in_the_window_kernels(positions, monkeypatch):
    poison(monkeypatch)
    tile = WindowTile(positions=positions, warps=1)
    with tiles(monkeypatch, window=True, forward_window=tile, backward_window=tile):
        check(Case(S=21, H=3, Hkv=1, w1=3, w2=18, B=1))


@BOTH
def test_defect_autograd_passes_arguments_in_another_order(window, monkeypatch):
    """Scaling one input by 2 changes exactly the gradients that depend on it, in the way that its place in the formula says."""
    case = Case(S=10, H=2, Hkv=1, w1=2, w2=5, B=1)
    x = draw(case)
    with tiles(monkeypatch, window=window):
        plain = by_kernels(case, x)
        for n, name in ((3, "v1"), (4, "v2")):
            doubled = [2 * t if m == n else t for m, t in enumerate(x)]
            got = by_kernels(case, doubled)
            torch.testing.assert_close(got["o"], 2 * plain["o"], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(got[f"d{name}"], plain[f"d{name}"], rtol=1e-4, atol=1e-5)
        for name in NAMES:
            assert plain[name].shape == by_reference(case, x)[name].shape
        check(case, x, plain)


@pytest.mark.parametrize("case", [*SHAPES, *OPTIONS, *WINDOW_CASES], ids=str)
def test_defect_tests_with_a_flat_softmax(case):
    """Normal inputs of unit scale give hundreds of nearly equal weights, among which a wrong one hardly shows."""
    q, k1, k2 = (x.double().cpu() for x in draw(case)[:3])
    if case.S > 1:
        assert 0.05 <= largest_weight(case, q, k1, k2) <= 0.9


# The pivot


def walks(monkeypatch, module, name):
    """Count the calls of a device function that had something to do, by ``(MASKED, ONLINE)`` (interpreter only)."""
    seen, inner = Counter(), getattr(module, name)
    names = list(inspect.signature(inner.fn).parameters)

    def number(x):
        return x.handle.data.item() if hasattr(x, "handle") else getattr(x, "value", x)

    def recorded(*args):
        given = dict(zip(names, args, strict=True))
        lo, hi = (number(given[x]) for x in (("t_lo", "t_hi") if name == "_sweep" else ("x_lo", "x_hi")))
        if hi > lo:
            seen[bool(number(given["MASKED"])), bool(number(given.get("ONLINE", False)))] += 1
        return inner(*args)

    monkeypatch.setattr(module, name, recorded)
    return seen


def extreme(bound: float, signs: tuple[int, ...]) -> list[torch.Tensor]:
    """``q, k1, k2, v1, v2`` of 6 positions and 16 channels whose logits in base 2 are ``bound * sign`` for every first key ``j``."""
    q = torch.full((1, 6, 1, 16), bound / 4 * math.log(2))  # scale 1/4: sum over 16 channels / 4 = 4
    k1 = torch.tensor([float(s) for s in signs]).view(1, 6, 1, 1).expand(1, 6, 1, 16).contiguous()
    gen = torch.Generator().manual_seed(0)
    v1, v2 = torch.randn(2, 1, 6, 1, 16, generator=gen)
    return [x.to(DEVICE) for x in (q, k1, torch.ones_like(k1), v1, v2)]


# The bound of ``extreme`` is bound * 1.02: on both sides of PIVOT_TRY = 100, and of the sum 2^-80 that certifies it afterwards.
PIVOTS = [
    ("the pivot serves", 80.0, (1,) * 6, {False}),
    ("just tried", 98.0, (1,) * 6, {False}),
    ("not tried", 99.0, (1,) * 6, {True}),
    ("certified: the maximum is 79 below the bound", 38.0, (-1,) * 6, {False}),
    ("done again: the maximum is 85 below the bound", 42.0, (-1,) * 6, {False, True}),
    ("done again: one row has only weights that vanish", 97.0, (-1, 1, 1, 1, 1, 1), {False, True}),
    ("far beyond", 1e4, (1, -1, 1, -1, 1, -1), {True}),
]


@pytest.mark.parametrize(("why", "bound", "signs", "paths"), PIVOTS, ids=[why for why, *_ in PIVOTS])
def test_pivot_and_running_maximum_meet(why, bound, signs, paths, monkeypatch):
    x = extreme(bound, signs)
    seen = Counter() if CUDA else walks(monkeypatch, forward, "_sweep")
    with tiles(monkeypatch, window=False):
        o, lse2 = two_simplicial_attention(*x, w1=6, w2=6, return_lse2=True)
    if not CUDA:
        assert {online for _, online in seen} == paths
    expected = by_reference(Case(S=6, H=1, Hkv=1, w1=6, w2=6, B=1), [*x, torch.zeros_like(o), torch.zeros_like(lse2)])
    torch.testing.assert_close(o.double(), expected["o"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(lse2.double(), expected["lse2"], rtol=1e-5, atol=1e-4)


@BOTH
@pytest.mark.parametrize("largest", [300.0, 1e4])
def test_large_logits(largest, window, monkeypatch):
    """Logits up to 1e4: gradients of a softmax that is a spike almost everywhere, within what fp32 leaves of such logits."""
    case = Case(S=17, H=2, Hkv=1, w1=5, w2=9, B=1)
    x = draw(case)
    with torch.no_grad():
        scale = largest / (x[0].abs().amax() * x[1].abs().amax() * x[2].abs().amax() * 4)
    x[0] = x[0] * scale
    with tiles(monkeypatch, window=window):
        got = by_kernels(case, x)
    expected = by_reference(case, x)
    for name in NAMES:
        assert got[name].isfinite().all(), name
        allowed = 2e-5 * max(1.0, largest / 30) * expected[name].abs().max()
        assert (got[name].double() - expected[name]).abs().max() <= allowed, name


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16] if CUDA else [torch.float16], ids=str)
@pytest.mark.parametrize("largest", [30.0, 100.0])
def test_large_logits_in_low_precision(largest, dtype, window, monkeypatch):
    """The backward must round where the forward does: exp2 of another rounding's logits is another weight, and may exceed 1."""
    case = Case(S=20, H=4, Hkv=2, D=64, w1=4, w2=9, B=1, dtype=dtype)
    x = draw(case)
    x[0] = x[0] * (largest / reference.trilinear_logits(*(t.double() for t in x[:3])).abs().max()).to(dtype)
    with tiles(monkeypatch, window=window):
        check(case, x)


@BOTH
@pytest.mark.skipif(CUDA, reason="the reference in fp16 differs on a GPU")
def test_keys_whose_product_overflows_fp16(window, monkeypatch):
    """k1 * k2 is about 9e4, beyond fp16, while q * k1 and the logits are small."""
    case = Case(S=8, H=2, Hkv=1, D=16, w1=3, w2=5, B=1, dtype=torch.float16)
    gen = torch.Generator().manual_seed(0)
    x = draw(case)
    x[0] = 1e-4 * torch.randn(x[0].shape, generator=gen).half()
    x[1], x[2] = ((300 + torch.randn(t.shape, generator=gen)).half() for t in x[1:3])
    x[5], x[6] = 0.01 * x[5], 0.01 * x[6]  # dq is a multiple of k1 * k2 and shall be finite
    with tiles(monkeypatch, window=window):
        got = by_kernels(case, x)
    assert all(got[name].isfinite().all() for name in NAMES)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp2")
def test_a_bound_that_underflows_certifies_nothing(monkeypatch):
    """q * q is 0 in fp32 while the logits are 577: the weights of a pivot at 0 overflow, and the running maximum takes over."""
    x = [torch.full((1, 4, 1, 16), value, device=DEVICE) for value in (1e-24, 1e18, 1e8, 1.0, 1.0)]
    x[2][:, ::2] *= 0.5
    with tiles(monkeypatch, window=False):
        o, lse2 = two_simplicial_attention(*x, w1=2, w2=4, return_lse2=True)
    expected = by_reference(Case(S=4, H=1, Hkv=1, w1=2, w2=4, B=1), [*x, torch.zeros_like(o), torch.zeros_like(lse2)])
    torch.testing.assert_close(o.double(), expected["o"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(lse2.double(), expected["lse2"], rtol=1e-5, atol=1e-4)


# Which tiles ran


@pytest.mark.skipif(CUDA, reason="counts calls in the interpreter")
@pytest.mark.parametrize("H", [1, 16], ids=["many positions a tile", "one position a tile"])
def test_edge_and_interior_tiles_all_ran(H, monkeypatch):
    """S = 80 with 16-wide tiles and a window of 50: tiles that all rows see whole, and tiles cut by the diagonal or the window's end."""
    case = Case(S=80, H=H, Hkv=1, w1=2, w2=50, B=1)
    seen = {
        "forward": walks(monkeypatch, forward, "_sweep"),
        "query": walks(monkeypatch, backward_query, "_sweep"),
        "keys": walks(monkeypatch, backward_keys, "_walk"),
    }
    with tiles(monkeypatch, window=False):
        check(case)
    assert {masked for masked, _ in seen["forward"]} == {False, True}
    assert {masked for masked, _ in seen["query"]} == {False, True}
    assert {masked for masked, _ in seen["keys"]} == ({True} if H == 1 else {False, True})
