"""The head built by hand: its logits are the cosine, its decisions are Match3; and rotations by position leave determinants relative."""

import math

import pytest
import torch

from simplex_lab import match3_head, reference, tasks
from simplex_lab.checks.spec import find
from simplex_lab.rotations import about_third_axis, rotate_by_position


def test_logits_are_the_cosine_of_the_sum_and_the_blank_s_are_as_promised():
    M, c = 11, 3.0
    x = torch.randint(0, M, (4, 6), generator=torch.Generator().manual_seed(0))
    q, k1, k2, *_ = match3_head.vectors(x, M, c, torch.float64)
    A = reference.determinant_logits(q, k1, k2, scale=1.0)[:, 0, 1:]  # queries that are tokens
    theta = 2 * math.pi * x.double() / M
    sums = theta[:, :, None, None] + theta[:, None, :, None] + theta[:, None, None, :]
    torch.testing.assert_close(A[:, :, 1:, 1:], c * sums.cos())
    torch.testing.assert_close(A[:, :, 0, 0], torch.full_like(theta, c))
    assert A[:, :, 0, 1:].max() <= c / 4 + 1e-12
    assert A[:, :, 1:, 0].abs().max() < 1e-12


@pytest.mark.parametrize(("M", "n"), [(2, 4), (5, 8), (23, 12), (97, 20), (997, 10)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_decides_match3_with_repeats(M, n, dtype):
    gen = torch.Generator().manual_seed(M)
    x = torch.randint(0, M, (300, n), generator=gen)
    x[:100, -1] = (1 - x[:100, 0] - x[:100, 1]) % M
    x[100:200, -1] = (-x[100:200, 0] - x[100:200, 1]) % M
    z = match3_head.decide(match3_head.weight_of_tokens(x, M, dtype=dtype))
    torch.testing.assert_close(z.double(), tasks.match3_labels(x, M, distinct=False).double(), rtol=0, atol=1e-6)


def test_at_the_bound_wrong_pairs_hold_less_than_a_quarter():
    """All tokens alike and one off a match: every pair is the best wrong pair, the worst case of the bound."""
    M, n = 31, 12
    x = torch.full((1, n), 21)  # 3 * 21 = 63 = 1 mod 31
    assert not tasks.match3_labels(x, M, distinct=False).any()
    z = match3_head.weight_of_tokens(x, M, c=match3_head.inverse_temperature(n, M), dtype=torch.float64)
    assert 0.2 < z[0, -1] < 0.25


def test_the_exercise_asks_for_the_head_s_bound():
    for n, M in ((20, 97), (5, 7)):
        assert find("04.4").answer(n, M, 1 / 3).item() == pytest.approx(match3_head.inverse_temperature(n, M))


def test_rotations_turn_two_channels_and_keep_the_third():
    R = about_third_axis(torch.tensor([math.pi / 2], dtype=torch.float64))[0]
    torch.testing.assert_close(R @ torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64), torch.tensor([-2.0, 1.0, 5.0], dtype=torch.float64))
    assert torch.linalg.det(R) == pytest.approx(1)


def test_determinants_are_relative_and_trilinear_logits_are_not():
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(2, 5, 2, 9, generator=gen, dtype=torch.float64) for _ in range(3)]
    rates = torch.tensor([0.7, 0.2, 1.3])

    def at(logits, shift):
        return logits(*(rotate_by_position(t, rates, torch.arange(5) + shift) for t in x))

    torch.testing.assert_close(at(reference.determinant_logits, 11), at(reference.determinant_logits, 0))
    assert (at(reference.trilinear_logits, 11) - at(reference.trilinear_logits, 0)).abs().max() > 0.1
