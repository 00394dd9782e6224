"""The window kernels (a query's whole window is one tile) against the fp64 reference, as in ``test_kernels.py``."""

from dataclasses import replace

import pytest
import torch
from kernel_cases import CUDA, SINGLE_PAIRS, Case, check, check_single_pair_rows, in_dtypes, poison, tiles

pytestmark = [pytest.mark.gpu] if CUDA else []

CASES = [
    Case(S=1, H=16, Hkv=8, B=4),
    Case(S=15, H=4, Hkv=4, w1=3, w2=3, B=1),
    Case(S=16, H=4, Hkv=1, w1=20, w2=4),
    Case(S=17, H=4, Hkv=2, D=24, w1=1, w2=40),
    Case(S=33, H=3, Hkv=1, D=16, w1=5, w2=20),
    Case(S=33, H=2, Hkv=2, D=64, w1=16, w2=16, B=1),
    Case(S=80, H=1, Hkv=1, D=16, w1=17, w2=33, B=1),
    Case(S=17, H=2, Hkv=1, D=24, w1=15, w2=4, k2_bias=-0.2, v2_bias=0.5),
    Case(S=33, H=2, Hkv=1, w1=4, w2=15, documents=True),
    Case(S=17, H=2, Hkv=1, w1=4, w2=15, scale=-0.4, B=1),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    poison(monkeypatch)
    with tiles(monkeypatch, window=True):
        yield


@pytest.mark.parametrize("case", in_dtypes(CASES), ids=str)
def test_window_kernels_are_the_reference(case):
    check(case)


@pytest.mark.skipif(CUDA, reason="on a GPU every case runs in fp16")
def test_window_kernels_are_the_reference_in_fp16():
    check(Case(S=17, H=2, Hkv=1, D=24, dtype=torch.float16, B=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16] if CUDA else [torch.float16], ids=str)
@pytest.mark.parametrize("case", SINGLE_PAIRS, ids=str)
def test_single_pairs_in_low_precision(case, dtype):
    check_single_pair_rows(replace(case, dtype=dtype))
