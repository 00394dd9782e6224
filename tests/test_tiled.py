"""The tiled shadow of the kernels is the reference: any tiles, windows, groups; and it has the kernels' names."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simplex_lab import reference, tiled


def tensors(B, S, H, Hkv, D, seed=0, gain=3.0):
    gen = torch.Generator().manual_seed(seed)
    x = [torch.randn(B, S, h, D, generator=gen, dtype=torch.float64) for h in (H, *(Hkv,) * 4, H)]
    x[0] *= gain
    return x


@given(
    S=st.integers(1, 19), group=st.integers(1, 3), Hkv=st.integers(1, 2), w1=st.integers(1, 20), w2=st.integers(1, 20),
    rows=st.sampled_from([1, 2, 7, 16]), block_k=st.integers(1, 17), block_j=st.integers(1, 6), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_tiles_give_the_reference(S, group, Hkv, w1, w2, rows, block_k, block_j, seed):
    *x, do = tensors(2, S, group * Hkv, Hkv, 4, seed)
    o, lse2 = tiled.forward(*x, w1=w1, w2=w2, rows=rows, block_k=block_k)
    expected = reference.two_simplicial(*x, w1=w1, w2=w2)
    torch.testing.assert_close((o, lse2), tuple(expected), rtol=1e-10, atol=1e-10)
    got = tiled.backward(*x, o, lse2, do, w1=w1, w2=w2, rows=rows, block_k=block_k, block_j=block_j)
    by_hand = reference.two_simplicial_backward(*x, *expected, do, w1=w1, w2=w2)
    for g, e in zip(got, by_hand, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-10, atol=1e-10)


def test_large_logits_stay_finite():
    *x, _ = tensors(1, 9, 2, 1, 4, gain=1e4)
    assert tiled.forward(*x, w1=3, w2=5).o.isfinite().all()


@pytest.mark.parametrize(
    ("program", "kernel"),
    [
        ("forward_program", "forward"),
        ("backward_query_program", "backward_query"),
        ("backward_keys_program", "backward_keys"),
    ],
)
def test_each_program_names_its_kernel(program, kernel):
    assert f"``{kernel}.py``" in inspect.getdoc(getattr(tiled, program))
