"""The tiled kernels against the fp64 reference: output, log-sum-exp and all five gradients over shapes, windows, groups and options.

Without a GPU everything runs in Triton's interpreter on 16-wide tiles; with one (``make test-gpu``) it runs there, in three dtypes.
"""

import math
from dataclasses import replace

import pytest
import torch
from kernel_cases import CUDA, SINGLE_PAIRS, SMALL, Case, check, check_single_pair_rows, draw, in_dtypes, poison, tiles
from simplex_kernels import attention, backward_delta, backward_query, forward

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


@pytest.mark.parametrize("case", [Case(S=17, w1=3, w2=9), Case(S=20, H=8, Hkv=4, documents=True), Case(S=5, w1=1, w2=1)], ids=str)
def test_both_deltas_alone_are_those_of_the_query_s_side(case):
    """As the query's kernel computes them on its way: nothing stays unwritten, and the gradient of lse2 is in both."""
    x = draw(case)
    w1, w2 = min(case.w1, case.S), min(case.w2, case.S)
    p = attention._problem(x[:5], case.options["documents"], w1, w2, case.D**-0.5, False, 0.0, 0.0)
    o, lse2 = (t.contiguous() for t in forward.launch(p, SMALL["forward"]))
    dlse2 = x[6].transpose(1, 2).contiguous()
    _, stat = backward_query.launch(p, SMALL["backward_query"], o, lse2, x[5], dlse2)
    keys_delta = torch.full_like(lse2, torch.nan)
    delta = backward_delta.launch(p, o, x[5], dlse2, keys_delta)
    torch.testing.assert_close(keys_delta, stat[..., 1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(delta, (o * x[5]).sum(-1) - dlse2 / math.log(2), rtol=1e-4, atol=1e-4)
