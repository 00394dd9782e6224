"""What only a GPU can show: the tiles of the table at their real sizes, low precision, peak memory, tensors beyond 2^31 elements, races."""

from dataclasses import replace

import pytest
import torch
from kernel_cases import NAMES, Case, by_kernels, check, compare, draw, in_dtypes, results, tiles
from simplex_kernels import configs, two_simplicial_attention, two_simplicial_decode

from simplex_lab import baselines

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="NO CUDA DEVICE: the kernels were not run on a GPU"),
]
MIB = 2**20

REAL = [
    Case(S=135, H=72, Hkv=1, D=128, w1=8, w2=70, B=1),
    Case(S=140, H=64, Hkv=1, D=128, w1=5, w2=150, B=1),
    Case(S=129, H=16, Hkv=1, D=128, w1=70, w2=9, B=2),
    Case(S=257, H=4, Hkv=4, D=128, w1=20, w2=33, B=1),
    Case(S=130, H=40, Hkv=1, D=80, w1=6, w2=64, B=1),
    Case(S=300, H=8, Hkv=8, D=64, w1=32, w2=32, B=1),
    Case(S=300, H=8, Hkv=2, D=64, w1=64, w2=16, B=1),
    Case(S=260, H=8, Hkv=1, D=64, w1=40, w2=100, B=1),
    Case(S=200, H=6, Hkv=2, D=24, w1=300, w2=7, B=2),
    *(
        Case(S=100, H=2 * G, Hkv=2, D=64, w1=w1, w2=w2, B=1)  # window kernels
        for G in (1, 2, 3, 4)
        for w1, w2 in ((5, 9), (16, 16), (10, 30), (16, 64), (32, 32), (32, 64))
    ),
    Case(S=100, H=8, Hkv=2, D=40, w1=20, w2=50, B=2),
    Case(S=100, H=4, Hkv=4, D=16, w1=32, w2=32, B=1),
    Case(S=120, H=32, Hkv=2, D=96, w1=9, w2=65, B=1, logits="determinant"),
    Case(S=120, H=64, Hkv=1, D=128, w1=65, w2=9, B=1, logits="determinant"),
    Case(S=140, H=64, Hkv=1, D=128, w1=9, w2=90, B=1, documents=True),
    Case(S=200, H=4, Hkv=2, D=64, w1=30, w2=30, B=2, documents=True),
    Case(S=135, H=64, Hkv=1, D=128, w1=9, w2=70, B=1, k2_bias=0.2, v2_bias=1.0),
    Case(S=150, H=4, Hkv=2, D=64, w1=30, w2=20, B=1, k2_bias=0.2, v2_bias=1.0),
]


@pytest.mark.parametrize("case", in_dtypes(REAL), ids=str)
def test_the_table_s_tiles_are_the_reference(case):
    check(case)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("gain", [1.0, 3.0, 12.0])
@pytest.mark.parametrize(
    ("H", "Hkv", "D", "w1", "w2"),
    [(16, 1, 128, 32, 512), (8, 1, 128, 512, 32), (4, 4, 128, 32, 64), (4, 4, 64, 32, 32), (8, 2, 64, 64, 16), (4, 4, 64, 16, 64)],
)
def test_long_sequences_are_the_windowed_formula(H, Hkv, D, w1, w2, gain, dtype):
    """S = 1024, from a flat softmax to spikes; with bf16 on the tiled route: pivot, pivot done again, running maximum."""
    gen = torch.Generator("cuda").manual_seed(0)
    shapes = [(1, 1024, h, D) for h in (H, *(Hkv,) * 4, H)]
    x = [torch.randn(s, device="cuda", generator=gen).to(dtype) for s in shapes]
    x.append(torch.randn(1, H, 1024, device="cuda", generator=gen))
    x[0] = x[0] * gain
    got = results(lambda *t: two_simplicial_attention(*t, w1=w1, w2=w2, return_lse2=True), x)
    expected, eager = (
        results(lambda *t: baselines.unfolded(*t, w1=w1, w2=w2, return_lse2=True), [t.to(d) for t in x]) for d in (torch.float64, dtype)
    )
    compare(f"gain {gain}", got, expected, eager)


def test_the_same_bits_ten_times():
    """Scratch that two programs wrote would show: no atomics, one owner for every number, always the same order."""
    for case in (Case(S=300, H=64, Hkv=1, D=128, w1=32, w2=100, B=2), Case(S=300, H=8, Hkv=2, D=64, w1=32, w2=32, B=2)):
        x = draw(Case(**(vars(case) | {"S": 16, "dtype": torch.bfloat16})))
        x = [torch.randn(*t.shape[:1], 300, *t.shape[2:], device="cuda").bfloat16() for t in x[:6]] + [
            torch.zeros(2, case.H, 300, device="cuda")
        ]
        first = by_kernels(case, x)
        for _ in range(9):
            again = by_kernels(case, x)
            assert all(torch.equal(again[name], first[name]) for name in NAMES)


@pytest.mark.parametrize(
    ("H", "Hkv", "D", "w1", "w2"), [(32, 32, 128, 32, 32), (32, 32, 128, 256, 256), (64, 1, 128, 32, 512), (32, 32, 64, 32, 32)]
)
def test_peak_memory_has_a_bound(H, Hkv, D, w1, w2):
    """Beyond inputs, outputs and fp32 copies of four gradients: 512 MiB of scratch and 4 numbers a row."""
    S = 4096
    x = [torch.randn(1, S, h, D, device="cuda", dtype=torch.bfloat16, requires_grad=True) for h in (H, *(Hkv,) * 4)]
    two_simplicial_attention(*x, w1=w1, w2=w2).sum().backward()  # compile
    for t in x:
        t.grad = None
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    o = two_simplicial_attention(*x, w1=w1, w2=w2)
    o.backward(torch.ones_like(o))
    peak = torch.cuda.max_memory_allocated() - before
    queries, keys = x[0].nbytes, x[1].nbytes
    allowed = 3 * queries + 4 * keys + 4 * 2 * keys + S * H * 4 * 8 + configs.SCRATCH_BYTES + 16 * MIB
    assert peak <= allowed, f"peak {peak / MIB:.0f} MiB, allowed {allowed / MIB:.0f} MiB"


@pytest.mark.parametrize(("Hkv", "D"), [(1, 128), (128, 128), (32, 64)], ids=["many heads a key", "one head a key", "window kernels"])
def test_tensors_beyond_two_to_the_31_elements(Hkv, D):
    """S * H * D = 2.15e9: the last positions are those of the last positions alone, whose windows they hold whole.

    The short sequence is two blocks of 64 queries, so that its second block meets the same tiles, hence the same bits.
    """
    S, H, tail = 2**24 // D + 128, 128, 128
    assert S * H * D > 2**31
    queries, keys = 2 * S * H * D, 2 * S * Hkv * D  # bytes of a bf16 tensor
    needed, there = 4 * queries + (8 + 4 * 2) * keys + configs.SCRATCH_BYTES, torch.cuda.get_device_properties(0).total_memory
    if needed > there:  # inputs, outputs, and fp32 copies of the keys' four gradients
        pytest.skip(f"needs {needed / 2**30:.0f} GiB on the device, which has {there / 2**30:.0f}")
    w1, w2 = 2, 5
    gen = torch.Generator(device="cuda").manual_seed(0)
    x = [torch.randn(1, S, h, D, device="cuda", dtype=torch.bfloat16, generator=gen) for h in (H, *(Hkv,) * 4, H)]
    leaves = [t.requires_grad_() for t in x[:5]]
    o = two_simplicial_attention(*leaves, w1=w1, w2=w2)
    gradients = torch.autograd.grad(o, leaves, x[5])
    short = [t[:, -tail:].detach().requires_grad_() for t in x[:5]]
    o_short = two_simplicial_attention(*short, w1=w1, w2=w2)
    expected = torch.autograd.grad(o_short, short, x[5][:, -tail:])
    torch.testing.assert_close(o[:, -64:], o_short[:, -64:], rtol=0, atol=0)
    # sums over chunks of queries may be added in another order: one rounding to bf16 apart
    for g, e in zip(gradients, expected, strict=True):
        torch.testing.assert_close(g[:, -64:], e[:, -64:], rtol=2**-7, atol=1e-5)


@pytest.mark.parametrize("window", [False, True], ids=["tiled", "window"])
def test_small_sizes_for_the_sanitizer(window, monkeypatch):
    """Every kernel and option once on small sizes: ``compute-sanitizer python -m pytest tests/test_kernels_gpu.py -k sanitizer``."""
    monkeypatch.setattr(configs, "SCRATCH_BYTES", 2**16)  # several chunks
    small = Case(S=19, H=3, Hkv=1, D=24, w1=4, w2=7, B=1)
    with tiles(monkeypatch, window=window):
        for changed in (
            {},
            {"H": 16, "D": 16, "w1": 9, "w2": 3, "documents": True},
            {"k2_bias": 0.2, "v2_bias": 0.5},
            *([] if window else [{"logits": "determinant"}]),
        ):
            check(replace(small, **changed))
        x = draw(small)
        two_simplicial_decode(x[0][:, -2:], *x[1:5], w1=4, w2=7, lengths=torch.tensor([15], device="cuda"))
    if window:
        check(Case(S=40, H=4, Hkv=1, D=64, w1=16, w2=32, B=1, dtype=torch.bfloat16))
    else:
        check(Case(S=70, H=64, Hkv=1, D=128, w1=4, w2=40, B=1, dtype=torch.bfloat16))
