"""The Gluon kernels on a Hopper chip: every shape they take against fp64, from a flat softmax to spikes, and the same bits again."""

import pytest
import torch
from kernel_cases import Case, check, compare, draw, in_dtypes
from simplex_kernels import attention

from simplex_lab import baselines

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or torch.cuda.get_device_capability() != (9, 0),
        reason="NO HOPPER GPU: the Gluon kernels were not run",
    ),
]
BOTH = ("o", "lse2")
CASES = [
    Case(S=135, H=72, Hkv=1, D=128, w1=8, w2=70, B=1),
    Case(S=140, H=128, Hkv=1, D=128, w1=5, w2=150, B=1),
    Case(S=140, H=64, Hkv=1, D=128, w1=150, w2=5, B=1),
    Case(S=129, H=16, Hkv=1, D=128, w1=70, w2=9, B=2),
    Case(S=257, H=4, Hkv=4, D=128, w1=20, w2=33, B=1),
    Case(S=260, H=8, Hkv=1, D=64, w1=40, w2=100, B=1),
    Case(S=100, H=10, Hkv=2, D=64, w1=33, w2=64, B=2),
    Case(S=1, H=4, Hkv=1, D=64, w1=1, w2=1, B=2),
    Case(S=140, H=64, Hkv=1, D=128, w1=9, w2=90, B=1, documents=True),
    Case(S=200, H=4, Hkv=2, D=64, w1=30, w2=30, B=2, documents=True),
]


def forward(x, documents=None, *, w1, w2, by_products=0):
    from simplex_kernels import hopper
    from simplex_kernels.hopper import forward

    p = attention._problem(x[:5], documents, min(w1, x[0].shape[1]), min(w2, x[0].shape[1]), x[0].shape[3] ** -0.5, False, 0.0, 0.0)
    assert hopper.applies(p)
    o, lse2 = forward.launch(p, by_products)
    return {"o": o, "lse2": lse2.transpose(1, 2)}


@pytest.mark.parametrize("case", [case for case in in_dtypes(CASES) if case.dtype.itemsize == 2], ids=str)
def test_the_gradients_are_the_reference(case, monkeypatch):
    """The whole operation by these kernels, unless the table gives the problem to the window kernels."""
    monkeypatch.setenv("SIMPLEX_KERNELS_HOPPER", "1")
    check(case)


@pytest.mark.parametrize("by_products", [0, 1, 2])
@pytest.mark.parametrize("case", [case for case in in_dtypes(CASES) if case.dtype.itemsize == 2], ids=str)
def test_forward_is_the_reference(case, by_products):
    x = draw(case)
    check(case, x, forward(x, case.options["documents"], w1=case.w1, w2=case.w2, by_products=by_products), BOTH)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("gain", [1.0, 3.0, 12.0])
@pytest.mark.parametrize(("H", "D"), [(128, 128), (64, 128), (16, 64)])
def test_long_sequences_are_the_windowed_formula(H, D, gain, dtype):
    """S = 1024: the pivot, the pivot done again, the running maximum."""
    gen = torch.Generator("cuda").manual_seed(0)
    x = [torch.randn(1, 1024, h, D, device="cuda", generator=gen).to(dtype) for h in (H, 1, 1, 1, 1)]
    x[0] = x[0] * gain
    got = forward(x, w1=32, w2=512)
    expected, eager = (
        dict(zip(BOTH, baselines.unfolded(*(t.to(d) for t in x), w1=32, w2=512, return_lse2=True), strict=True))
        for d in (torch.float64, dtype)
    )
    compare(f"gain {gain}", got, expected, eager, BOTH)


def test_the_same_bits_ten_times():
    case = Case(S=300, H=64, Hkv=1, D=128, w1=32, w2=100, B=2, dtype=torch.bfloat16)
    x = [torch.randn(case.B, case.S, h, case.D, device="cuda").bfloat16() for h in (case.H, 1, 1, 1, 1)]
    first = forward(x, w1=32, w2=100)
    for _ in range(9):
        again = forward(x, w1=32, w2=100)
        assert all(torch.equal(again[name], first[name]) for name in BOTH)


def test_keys_of_the_future_that_are_nan_are_not_read():
    case = Case(S=140, H=64, Hkv=1, D=128, w1=9, w2=40, B=1, dtype=torch.bfloat16)
    x = draw(case)
    first = forward(x, w1=9, w2=40)["o"][:, :70].clone()
    for t in x[1:5]:
        t[:, 70:] = torch.nan
    assert torch.equal(forward(x, w1=9, w2=40)["o"][:, :64], first[:, :64])
