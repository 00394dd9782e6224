"""Masks against loops over their definition, counts against the masks, FLOPs and bytes against numbers worked by hand."""

import re

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simplex_lab import windows

LENGTHS = st.integers(1, 9)
WINDOWS = st.none() | st.integers(1, 12)
few = settings(max_examples=60, deadline=None, derandomize=True)


def sees(i, j, w):
    return (w is None or i - w < j) and j <= i


def pairs(S, w):
    return [[sees(i, j, w) for j in range(S)] for i in range(S)]


def triples(S, w1, w2):
    return [[[sees(i, j, w1) and sees(i, k, w2) for k in range(S)] for j in range(S)] for i in range(S)]


# Masks


def test_a_window_of_two_by_hand():
    assert windows.visible(4, 2).int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]


@few
@given(S=LENGTHS, w=WINDOWS)
@example(S=5, w=None)
@example(S=5, w=1)
@example(S=5, w=4)
@example(S=5, w=5)
@example(S=5, w=6)
@example(S=1, w=3)
def test_visible_is_its_definition(S, w):
    mask = windows.visible(S, w)
    assert mask.dtype == torch.bool
    assert mask.tolist() == pairs(S, w)


@few
@given(S=LENGTHS, w1=WINDOWS, w2=WINDOWS)
@example(S=6, w1=2, w2=4)
@example(S=6, w1=4, w2=2)
@example(S=3, w1=9, w2=1)
@example(S=4, w1=None, w2=2)
def test_visible_pairs_is_its_definition(S, w1, w2):
    mask = windows.visible_pairs(S, w1, w2)
    assert mask.dtype == torch.bool
    assert mask.tolist() == triples(S, w1, w2)


@pytest.mark.parametrize("S", [1, 4])
def test_without_causality_everything_is_visible(S):
    assert windows.visible(S, causal=False).shape == (S, S)
    assert windows.visible_pairs(S, causal=False).shape == (S, S, S)
    assert windows.visible(S, causal=False).all()
    assert windows.visible_pairs(S, causal=False).all()


def test_masks_are_made_on_the_device_asked_for():
    for mask in (
        windows.visible(3, 2, device="meta"),
        windows.visible(3, causal=False, device="meta"),
        windows.visible_pairs(3, 2, 1, device="meta"),
    ):
        assert mask.device.type == "meta"


# Counts


@few
@given(S=LENGTHS, w=WINDOWS)
def test_pairs_are_counted_as_the_mask_has_them(S, w):
    assert windows.count_pairs(S, w) == sum(map(sum, pairs(S, w))) == windows.visible(S, w).sum()


@few
@given(S=LENGTHS, w1=WINDOWS, w2=WINDOWS)
@example(S=6, w1=2, w2=4)
@example(S=3, w1=9, w2=1)
def test_triples_are_counted_as_the_mask_has_them(S, w1, w2):
    assert windows.count_triples(S, w1, w2) == sum(sum(map(sum, plane)) for plane in triples(S, w1, w2))
    assert windows.count_triples(S, w1, w2) == windows.visible_pairs(S, w1, w2).sum()


@pytest.mark.parametrize(("S", "share"), [(8192, 0.969), (2048, 0.875)])
def test_edges_take_their_share_of_the_triples(S, share):
    assert windows.count_triples(S, 32, 512) / (S * 32 * 512) == pytest.approx(share, abs=5e-4)


# Cost


def test_flops_by_hand():
    """S=3, D=2: 6 visible pairs; with w1=2, w2=1 there are 1 + 2 + 2 = 5 visible triples."""
    assert windows.dot_product_flops(3, 2) == 4 * 2 * 6
    assert windows.dot_product_flops(3, 2, 2) == 4 * 2 * 5
    assert windows.two_simplicial_flops(3, 2, 2, 1) == 4 * 2 * 5
    assert windows.two_simplicial_flops(3, 2, 2, 1, convention="matmul") == 4 * 2 * 5
    assert windows.two_simplicial_flops(3, 2, 2, 1, convention="paper") == 6 * 2 * 5


@few
@given(S=LENGTHS, D=st.integers(1, 128), w1=WINDOWS, w2=WINDOWS)
def test_flops_are_a_fixed_price_for_each_visible_triple(S, D, w1, w2):
    seen = int(windows.visible_pairs(S, w1, w2).sum())
    assert windows.two_simplicial_flops(S, D, w1, w2) == 4 * D * seen
    assert windows.two_simplicial_flops(S, D, w1, w2, convention="paper") == 6 * D * seen
    assert windows.dot_product_flops(S, D, w1) == 4 * D * int(windows.visible(S, w1).sum())


@pytest.mark.parametrize(
    ("convention", "n", "price"), [("paper", 49_152, 1), ("matmul", 32_768, 1), ("paper", 8192, 6), ("matmul", 8192, 4)]
)
def test_when_triples_cost_as_much_as_pairs(convention, n, price):
    """Windows (512, 32): 3 * 512 * 32 = 49,152 tokens by the paper's count, 32,768 by the kernels'; dearer below."""
    ratio = windows.two_simplicial_flops(n, 64, 512, 32, convention=convention) / windows.dot_product_flops(n, 64)
    edges = windows.count_triples(n, 512, 32) / (n * 512 * 32)
    assert ratio == pytest.approx(price * edges, rel=1e-3)
    assert edges > 0.96


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_logits_bytes_are_those_of_the_tensor(dtype):
    S, H = 6, 3
    size = torch.finfo(dtype).bits // 8
    assert windows.logits_bytes(S, H, order=2, bytes_per_number=size) == torch.empty(H, S, S, dtype=dtype).nbytes
    assert windows.logits_bytes(S, H, order=3, bytes_per_number=size) == torch.empty(H, S, S, S, dtype=dtype).nbytes


def test_logits_are_counted_in_fp32_unless_told():
    assert windows.logits_bytes(1024, 8, order=2) == 32 * 2**20
    assert windows.logits_bytes(1024, 1, order=3) == 4 * 2**30


# Errors


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: windows.visible(0), ["S=0"]),
        (lambda: windows.visible(-2, 1), ["S=-2"]),
        (lambda: windows.visible(4, 0), ["w=0"]),
        (lambda: windows.visible(4, -3), ["w=-3"]),
        (lambda: windows.visible(4, 2, causal=False), ["w=2", "causal=False"]),
        (lambda: windows.visible_pairs(0, 1, 1), ["S=0"]),
        (lambda: windows.two_simplicial_flops(4, 2, 1, 1, convention="triples"), ["convention='triples'", "matmul", "paper"]),
        (lambda: windows.logits_bytes(4, 2, order=4), ["order=4"]),
        (lambda: windows.logits_bytes(4, 2, order=1), ["order=1"]),
    ],
)
def test_errors_name_the_argument_and_its_value(call, words):
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        call()


def test_errors_of_pairs_say_which_window():
    for w1, w2, word in ((0, 2, "w1=0"), (2, 0, "w2=0")):
        with pytest.raises(ValueError, match=word):
            windows.visible_pairs(4, w1, w2)


def test_counts_refuse_the_windows_that_masks_refuse():
    for w in (0, -1):
        for call in (
            lambda w: windows.count_pairs(4, w),
            lambda w: windows.count_triples(4, w, 2),
            lambda w: windows.count_triples(4, 2, w),
            lambda w: windows.dot_product_flops(4, 2, w),
            lambda w: windows.two_simplicial_flops(4, 2, w, 2),
        ):
            with pytest.raises(ValueError, match=str(w)):
                call(w)


# Costs of chapter 05 and 06


@pytest.mark.parametrize(("w1", "w2"), [(512, 32), (16, 16), (1, 1)])
@pytest.mark.parametrize("convention", ["matmul", "paper"])
def test_at_the_equal_context_both_cost_the_same(w1, w2, convention):
    """A causal query sees n / 2 keys on average, at 4 FLOPs a channel."""
    n = windows.equal_context(w1, w2, convention=convention)
    assert 4 * n / 2 == windows.two_simplicial_flops(1, 1, convention=convention) * w1 * w2


@pytest.mark.parametrize(("positions", "w1", "w2", "block_k"), [(1, 3, 5, 1), (4, 3, 5, 1), (7, 2, 2, 4), (3, 6, 1, 16)])
def test_executed_share_counts_the_union_of_the_rectangles(positions, w1, w2, block_k):
    i = torch.arange(40, 40 + positions)
    j = {int(x) for p in i for x in range(int(p) - w1 + 1, int(p) + 1)}
    k = {int(x) for p in i for x in range(int(p) - w2 + 1, int(p) + 1)}
    whole = -(-len(k) // block_k) * block_k
    assert windows.executed_share(positions, w1, w2, block_k) == pytest.approx(len(j) * whole / (w1 * w2))


@pytest.mark.parametrize(("first", "second", "block_k"), [(3, 8, 4), (3, 9, 4), (5, 2, 8), (1, 1, 1)])
def test_rows_loaded_are_those_of_the_two_walks(first, second, block_k):
    loaded = {"k": 0, "j": 0}
    for k0 in range(0, second, block_k):
        loaded["k"] += min(block_k, second - k0) + first
    for _ in range(first):
        loaded["j"] += 1 + second
    for outer, rows in loaded.items():
        assert windows.key_rows_loaded(first, second, block_k, outer=outer) == rows
    with pytest.raises(ValueError, match="outer='i'"):
        windows.key_rows_loaded(first, second, block_k, outer="i")
