"""The tiled kernels against the fp64 reference: output, log-sum-exp and all five gradients over shapes, windows, groups and options.

Without a GPU everything runs in Triton's interpreter on 16-wide tiles; with one (``make test-gpu``) it runs there, in three dtypes.
"""

from dataclasses import replace

import pytest
import torch
from kernel_cases import CUDA, SINGLE_PAIRS, Case, check, check_single_pair_rows, in_dtypes, poison, tiles

pytestmark = [pytest.mark.gpu] if CUDA else []

SHAPES = [
    Case(S=1, H=16, Hkv=8, B=4),
    Case(S=15, H=4, Hkv=4, w1=3, w2=3, B=1),
    Case(S=16, H=4, Hkv=1, w1=20, w2=4),
    Case(S=17, H=4, Hkv=2, D=24, w1=1, w2=40),
    Case(S=33, H=4, Hkv=1, D=16, w1=5, w2=20),
    Case(S=33, H=2, Hkv=2, D=64, w1=9, w2=2, B=1),
    Case(S=20, H=16, Hkv=1, D=80, w1=4, w2=18, B=1),
    Case(S=18, H=32, Hkv=2, D=16, w1=3, w2=17, B=1),
    Case(S=19, H=24, Hkv=1, D=16, w1=6, w2=6, B=1),
    Case(S=17, H=3, Hkv=1, D=128, w1=7, w2=16, B=1),
    Case(S=16, H=6, Hkv=2, D=17, w1=None, w2=3),
]
OPTIONS = [
    Case(S=33, H=2, Hkv=1, w1=4, w2=15, k2_bias=0.3, v2_bias=1.0, B=1),
    Case(S=17, H=2, Hkv=1, w1=15, w2=4, k2_bias=-0.2, v2_bias=0.5, D=24),
    Case(S=17, H=2, Hkv=1, w1=4, w2=15, scale=-0.4, B=1),
    Case(S=33, H=2, Hkv=1, w1=4, w2=15, logits="determinant", D=18, B=1),
    Case(S=17, H=2, Hkv=1, w1=12, w2=4, logits="determinant", D=20),
    Case(S=20, H=16, Hkv=1, w1=3, w2=17, logits="determinant", D=24, B=1),
    Case(S=33, H=4, Hkv=2, w1=4, w2=15, documents=True),
    Case(S=33, H=16, Hkv=1, w1=15, w2=4, documents=True, B=1),
    Case(S=33, H=2, Hkv=2, w1=8, w2=8, documents=True, logits="determinant", k2_bias=0.2, v2_bias=0.4, B=1),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    poison(monkeypatch)
    with tiles(monkeypatch, window=False):
        yield


@pytest.mark.parametrize("case", in_dtypes(SHAPES + OPTIONS), ids=str)
def test_kernels_are_the_reference(case):
    check(case)


@pytest.mark.skipif(CUDA, reason="on a GPU every case runs in fp16")
@pytest.mark.parametrize("case", [Case(S=33, H=2, Hkv=1, B=1), Case(S=17, H=16, Hkv=1, w1=9, w2=3, D=24, B=1)], ids=str)
def test_kernels_are_the_reference_in_fp16(case):
    check(Case(**(vars(case) | {"dtype": torch.float16})))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16] if CUDA else [torch.float16], ids=str)
@pytest.mark.parametrize("case", SINGLE_PAIRS, ids=str)
def test_single_pairs_in_low_precision(case, dtype):
    check_single_pair_rows(replace(case, dtype=dtype))
