"""Bytes counted by the meter against bytes counted by hand. All tensors are fp32 unless they say otherwise: 4 bytes a number."""

import pytest
import torch

from simplex_lab import reference, windows
from simplex_lab.meter import Memory, memory_of

MB = 250_000  # fp32 numbers


def test_tensors_alive_at_once_add_up():
    def two():
        a, b = torch.ones(MB), torch.ones(2 * MB)
        return a, b

    assert memory_of(two) == Memory(peak=3_000_000, largest=2_000_000)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 8), (torch.bfloat16, 2), (torch.bool, 1)])
def test_a_number_counts_what_its_dtype_takes(dtype, size):
    assert memory_of(lambda: torch.zeros(MB, dtype=dtype)) == (size * MB, size * MB)


def test_what_is_freed_no_longer_counts():
    def one_after_the_other():
        for _ in range(5):
            torch.ones(MB)

    assert memory_of(one_after_the_other) == (1_000_000, 1_000_000)


def test_the_peak_is_the_worst_moment_not_the_last():
    def large_then_small():
        a, b = torch.ones(MB), torch.ones(MB)
        del a
        c = torch.ones(MB // 2)
        del b, c
        return torch.ones(MB // 4)

    assert memory_of(large_then_small) == (2_000_000, 1_000_000)


def test_views_are_not_counted_twice():
    def views():
        a = torch.ones(MB)
        return a, a.view(2, -1), a[::2], a.t(), *a.chunk(4)

    assert memory_of(views) == (1_000_000, 1_000_000)


def test_a_view_keeps_all_of_its_storage_alive():
    def a_corner():
        a = torch.ones(MB)[:10]
        return a, torch.ones(MB)

    assert memory_of(a_corner) == (2_000_000, 1_000_000)


def test_work_in_place_needs_no_memory():
    assert memory_of(lambda: torch.ones(MB).add_(1).relu_()) == (1_000_000, 1_000_000)


def test_every_output_of_an_operation_counts():
    """The values take 4 bytes each, their indices 8."""
    x = torch.ones(MB)
    assert memory_of(lambda: torch.sort(x)) == (12 * MB, 8 * MB)


def test_what_only_autograd_holds_still_counts():
    x = torch.ones(MB, requires_grad=True)

    def saved_for_backward():
        loss = x.exp().sum()  # one number, and exp(x) for the backward
        return loss, torch.ones(MB)

    assert memory_of(saved_for_backward) == (2_000_004, 1_000_000)


def test_inputs_do_not_count():
    x = torch.ones(MB)
    assert memory_of(lambda: x + 1) == (1_000_000, 1_000_000)


def test_inputs_do_not_count_through_views_either():
    x = torch.ones(MB)
    assert memory_of(lambda: x.view(2, -1)) == (0, 0)
    assert memory_of(lambda: x.add_(1)) == (0, 0)
    assert memory_of(lambda: x[:10] + 1) == (40, 40)


def test_one_measurement_knows_nothing_of_another():
    kept = []
    assert memory_of(lambda: kept.append(torch.ones(MB))) == memory_of(lambda: kept.append(torch.ones(MB)))


def test_attention_is_as_large_as_the_formula_says():
    """S is large beside D, so that the logits are the largest tensor."""
    S, H, D = 64, 2, 4
    q, k1, k2, v1, v2 = (torch.randn(1, S, H, D) for _ in range(5))
    assert memory_of(lambda: reference.dot_product(q, k1, v1)).largest == windows.logits_bytes(S, H, order=2)
    cube = windows.logits_bytes(S, H, order=3)
    measured = memory_of(lambda: reference.two_simplicial(q, k1, k2, v1, v2))
    assert measured.largest == cube
    assert measured.peak >= 2 * cube
