"""The benchmark as far as a machine without a GPU can judge it: what it refuses and counts; that it does not time what is wrong."""

import functools

import pytest
import torch

from simplex_lab import baselines, bench, records, reference
from simplex_lab.bench import Shape

SOURCE = {"device": "GPU", "driver": "", "torch": "2.13.0", "triton": "3.7.1", "commit": "abc", "date": "2026-01-01", "command": "x"}


def test_no_gpu_no_speed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no CUDA device"):
        bench.run("headline")


def test_the_interpreter_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(RuntimeError, match="TRITON_INTERPRET=1"):
        bench.run("headline")


def test_an_unknown_question_is_refused():
    with pytest.raises(ValueError, match="question='speed': choose one of"):
        bench.run("speed")


def test_flops_count_visible_triples():
    """S=3, windows 2 and 3: queries see 1, 2 x 2 and 2 x 3 pairs."""
    shape = Shape(B=2, S=3, H=4, Hkv=1, D=16, w1=2, w2=3)
    assert shape.triples == 2 * 4 * (1 + 4 + 6)
    assert shape.flops(4) == 4 * 16 * 88


def test_the_headline_holds_the_shapes_of_the_question():
    headline = {(s.H, s.S, s.w1, s.w2) for s in bench.HEADLINE}
    assert {(128, S, 32, w2) for S in (1024, 16384) for w2 in (256, 512, 1024)} <= headline
    assert {(64, 8192, 32, 512), (64, 8192, 512, 32)} <= headline
    assert len(bench.MODEL) == 16


@pytest.mark.parametrize("arm", ["unfolded", "blocked"])
@pytest.mark.parametrize(("S", "H", "Hkv", "w1", "w2"), [(17, 4, 2, 3, 5), (17, 2, 2, 5, 3), (16, 4, 1, 4, 4), (5, 2, 1, 9, 9)])
def test_the_pytorch_peers_compute_the_operation(arm, S, H, Hkv, w1, w2):
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(2, S, h, 8, dtype=torch.float64, generator=gen) for h in (H, Hkv, Hkv, Hkv, Hkv)]
    expected = reference.two_simplicial(*x, w1=w1, w2=w2)
    torch.testing.assert_close(getattr(baselines, arm)(*x, w1=w1, w2=w2), expected.o, rtol=1e-10, atol=1e-10)
    if arm == "unfolded":
        both = baselines.unfolded(*x, w1=w1, w2=w2, return_lse2=True)
        torch.testing.assert_close(both, (expected.o, expected.lse2), rtol=1e-10, atol=1e-10)


def test_flex_attention_merged_over_first_keys_computes_the_operation(monkeypatch):
    """With plain softmax in place of FlexAttention, which the CPU would have to compile."""

    def attend(q, k, v, block_mask, return_lse, enable_gqa):
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        A = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).masked_fill(~block_mask, -torch.inf)
        return A.softmax(-1) @ v, A.logsumexp(-1)

    def mask(S, w, device):
        i = torch.arange(S)
        return (i[None] <= i[:, None]) & (i[None] > i[:, None] - w)

    monkeypatch.setattr(baselines, "_compiled_step", lambda: functools.partial(baselines._step, attend))
    monkeypatch.setattr(baselines, "_sliding_mask", mask)
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(2, 13, h, 8, generator=gen) for h in (4, 2, 2, 2, 2)]
    torch.testing.assert_close(baselines.flex(*x, w1=3, w2=5), reference.two_simplicial(*x, w1=3, w2=5).o, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("H", "Hkv"), [(4, 4), (12, 1), (8, 2)])
def test_the_gate_s_reference_is_the_reference(H, Hkv):
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(1, 11, h, 16, generator=gen, dtype=torch.float64, requires_grad=True) for h in (H, *(Hkv,) * 4, H)]
    expected = bench._results(lambda *t: reference.two_simplicial(*t, w1=3, w2=5).o, x)
    got = bench._by_heads(x, Shape(B=1, S=11, H=H, Hkv=Hkv, D=16, w1=3, w2=5), torch.float64)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-10, atol=1e-10)


def test_what_is_wrong_is_not_timed(monkeypatch):
    def draw(shape):
        gen = torch.Generator().manual_seed(0)
        return [torch.randn(1, 9, h, 16, generator=gen).bfloat16().requires_grad_() for h in (2, 1, 1, 1, 1, 2)]

    monkeypatch.setattr(Shape, "draw", draw)
    shape = Shape(B=1, S=9, H=2, Hkv=1, D=16, w1=3, w2=4)
    assert max(bench.errors("naive", shape).values()) <= 1
    right = bench.operation
    monkeypatch.setattr(bench, "operation", lambda arm, s: (lambda *x: 1.1 * right("naive", s)(*x)) if arm == "kernels" else right(arm, s))
    with pytest.raises(RuntimeError, match="kernels B=1 S=9 H=2/1 D=16 w=3x4 is wrong, so it is not timed"):
        bench.errors("kernels", shape)


def test_rows_are_appended(tmp_path):
    path = tmp_path / "t.csv"
    for n in range(3):
        records.append(path, [records.row("t", {"n": n}, 0, "forward", 1.5 + n, "ms", SOURCE, p20=1.25, p80=2)])
    back = records.read(path)
    assert [(r["config"]["n"], r["value"], r["p20"]) for r in back] == [(0, 1.5, "1.25"), (1, 2.5, "1.25"), (2, 3.5, "1.25")]
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns"):
        records.append(tmp_path / "other.csv", [])
