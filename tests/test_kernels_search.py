"""Shapes found by search: both routes against the fp64 reference."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import CUDA, Case, check, poison, tiles
from simplex_kernels.configs import Tile

pytestmark = [pytest.mark.gpu] if CUDA else []


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    poison(monkeypatch)


# In the interpreter a call costs the same whatever its size: wider tiles than those of the other tests make the search affordable.
WIDE = {name: Tile(rows=32, block_k=32, block_j=16) for name in ("forward", "backward_query", "backward_keys")}


@given(
    S=st.integers(1, 24),
    Hkv=st.integers(1, 2),
    group=st.sampled_from([1, 2, 3, 5, 16, 40]),
    D=st.integers(16, 40),
    w1=st.integers(1, 28),
    w2=st.integers(1, 28),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_any_shape_of_the_tiled_kernels(S, Hkv, group, D, w1, w2, seed):
    with pytest.MonkeyPatch.context() as monkeypatch, tiles(monkeypatch, window=False, **WIDE):
        check(Case(S=S, H=group * Hkv, Hkv=Hkv, D=D, w1=w1, w2=w2, B=1, seed=seed))


@given(
    S=st.integers(1, 20),
    Hkv=st.integers(1, 2),
    group=st.integers(1, 3),
    D=st.integers(16, 40),
    w1=st.integers(1, 24),
    w2=st.integers(1, 24),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_any_shape_of_the_window_kernels(S, Hkv, group, D, w1, w2, seed):
    with pytest.MonkeyPatch.context() as monkeypatch, tiles(monkeypatch, window=True):
        check(Case(S=S, H=group * Hkv, Hkv=Hkv, D=D, w1=w1, w2=w2, B=1, seed=seed))
