"""The kernels as a PyTorch operation: refused input, strides, autograd, ``torch.compile``, autocast, decoding, determinism."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from kernel_cases import CUDA, DEVICE, NAMES, Case, by_kernels, by_reference, check, draw, tiles
from simplex_kernels import attention as operation
from simplex_kernels import configs, two_simplicial_attention, two_simplicial_decode
from simplex_kernels.backward import blocks_at_once
from simplex_kernels.problem import document_bounds

from simplex_lab import reference
from simplex_lab.checks.memory import in_halo
from simplex_lab.windows import same_document

pytestmark = [pytest.mark.gpu] if CUDA else []
TINY = Case(S=7, H=2, Hkv=1, w1=2, w2=4, B=1)
BOTH = pytest.mark.parametrize("window", [False, True], ids=["tiled", "window"])


# Refused before any launch


def tensors(B=1, S=4, H=4, Hkv=2, D=16, dtype=torch.float32, **changed):
    shapes = {"q": (B, S, H, D)} | dict.fromkeys(("k1", "k2", "v1", "v2"), (B, S, Hkv, D))
    x = {name: torch.zeros(shape, dtype=dtype, device=DEVICE) for name, shape in shapes.items()}
    return x | {name: value(x[name]) for name, value in changed.items()}


REFUSED = [
    (tensors(q=lambda x: x[0]), {}, "q has 3 dimensions (4, 4, 16), expected 4"),
    (tensors(v2=lambda x: x[0]), {}, "v2 has 3 dimensions (4, 2, 16), expected 4"),
    (tensors(k1=lambda x: x.repeat(2, 1, 1, 1)), {}, "k1 has batch size 2, q has 1"),
    (tensors(v1=lambda x: x[:, :3]), {}, "v1 has sequence size 3, k1 has 4"),
    (tensors(q=lambda x: x[:, :3]), {}, "k1 has sequence size 4, q has 3"),
    (tensors(k2=lambda x: x[:, :, :1]), {}, "k2 has head size 1, k1 has 2"),
    (tensors(k2=lambda x: x[..., :15]), {}, "k2 has channel size 15, q has 16"),
    (tensors(H=3), {}, "k1 has 2 heads, q has 3"),
    (tensors(Hkv=0), {}, "k1 has 0 heads, q has 4"),
    (tensors(S=0), {}, "q has sequence size 0"),
    (tensors(B=0), {}, "q has batch size 0"),
    (tensors(D=129), {}, "q has head dimension 129: the kernels serve 16 to 128"),
    (tensors(D=15), {}, "q has head dimension 15: the kernels serve 16 to 128"),
    (tensors(v2=lambda x: x.half()), {}, "v2 has dtype torch.float16, q has torch.float32"),
    (tensors(dtype=torch.int32), {}, "q has dtype torch.int32, expected one of"),
    (tensors(k1=lambda x: x.to("meta")), {}, f"k1 is on meta, q is on {DEVICE}"),
    (tensors(), {"w1": 0}, "w1=0: a window needs at least 1 position"),
    (tensors(), {"w2": -3}, "w2=-3: a window needs at least 1 position"),
    (tensors(), {"w1": 2.9}, "w1=2.9: a window is a whole number of positions"),
    (tensors(), {"w1": True}, "w1=True: a window is a whole number of positions"),
    (tensors(), {"w2": "3"}, "w2='3': a window is a whole number of positions"),
    (tensors(), {"k2_bias": torch.tensor(1.0)}, "k2_bias is a tensor: a number is expected"),
    (tensors(), {"v2_bias": torch.tensor(1.0)}, "v2_bias is a tensor: a number is expected"),
    (tensors(), {"logits": "cosine"}, "logits='cosine': choose 'trilinear' or 'determinant'"),
    (tensors(), {"documents": torch.zeros(1, 3, dtype=torch.long)}, "documents has shape (1, 3), expected (1, 4)"),
    (tensors(), {"documents": torch.zeros(1, 4, device=DEVICE)}, "documents has dtype torch.float32, expected int32 or int64"),
    (tensors(), {"documents": torch.zeros(1, 4, dtype=torch.long, device="meta")}, f"documents is on meta, q is on {DEVICE}"),
]


@pytest.mark.parametrize(("x", "options", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_bad_input_is_refused_before_any_launch(x, options, message, monkeypatch):
    def launched(*_, **__):
        raise AssertionError("a kernel was launched")

    for module in (operation.forward, operation.forward_window):
        monkeypatch.setattr(module, "launch", launched)
    with pytest.raises(ValueError, match=re.escape(message)):
        two_simplicial_attention(**x, **({"w1": 2, "w2": 3} | options))


def test_the_cpu_is_refused_without_the_interpreter(monkeypatch):
    monkeypatch.setattr(operation, "INTERPRETED", False)
    with pytest.raises(ValueError, match=r"q is on cpu: the kernels need a CUDA device.*TRITON_INTERPRET=1"):
        two_simplicial_attention(**{name: x.cpu() for name, x in tensors().items()}, w1=2, w2=2)


def test_the_interpreter_refuses_what_it_computes_wrongly(monkeypatch):
    monkeypatch.setattr(operation, "INTERPRETED", True)
    with pytest.raises(ValueError, match=r"q has dtype torch.bfloat16, which Triton's interpreter computes wrongly"):
        two_simplicial_attention(**tensors(dtype=torch.bfloat16), w1=2, w2=2)


@pytest.mark.skipif(not CUDA, reason="fp64 is refused on a GPU only")
def test_fp64_is_refused_on_a_gpu():
    with pytest.raises(ValueError, match=r"q has dtype torch\.float64, expected one of"):
        two_simplicial_attention(**tensors(dtype=torch.float64), w1=2, w2=2)


def test_decode_refuses_a_cache_shorter_than_the_queries():
    x = tensors()
    with pytest.raises(ValueError, match="k1 has 3 cached positions, q has 4"):
        two_simplicial_decode(x["q"], *(x[name][:, :3] for name in ("k1", "k2", "v1", "v2")), w1=2, w2=2)
    with pytest.raises(ValueError, match=r"lengths has shape \(2,\), expected \(1,\)"):
        two_simplicial_decode(**x, w1=2, w2=2, lengths=torch.tensor([1, 2]))


# How tensors lie in memory


def strided(x):
    """The same numbers in five other layouts."""
    yield "heads first", x.transpose(1, 2).contiguous().transpose(1, 2)
    yield "channels last but one", x.transpose(2, 3).contiguous().transpose(2, 3)
    yield "every other position", x.repeat_interleave(2, 1)[:, ::2]
    yield (
        "a slice of wider channels",
        torch.cat([torch.full_like(x, torch.nan), x, torch.full_like(x, torch.nan)], -1)[..., x.shape[-1] : -x.shape[-1]],
    )
    yield "batch last", x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)


@BOTH
def test_any_strides_give_the_same_bits(window, monkeypatch):
    case = Case(S=9, H=4, Hkv=2, w1=3, w2=5, D=20)
    x = draw(case)
    with tiles(monkeypatch, window=window):
        plain = by_kernels(case, x)
        layouts = [dict(strided(t)) for t in x[:6]]
        for name in layouts[0]:
            other = by_kernels(case, [*(t[name] for t in layouts), x[6]])
            for result in NAMES:
                assert torch.equal(other[result], plain[result]), f"{name}: {result}"


def test_each_tensor_may_have_strides_of_its_own(monkeypatch):
    case = Case(S=9, H=4, Hkv=2, w1=3, w2=5, D=20)
    x = draw(case)
    mixed = [list(dict(strided(t)).values())[n % 5] for n, t in enumerate(x[:6])]
    with tiles(monkeypatch, window=False):
        plain, other = by_kernels(case, x), by_kernels(case, [*mixed, x[6]])
    for name in NAMES:
        assert torch.equal(other[name], plain[name]), name


@BOTH
def test_nothing_outside_the_tensors_is_read_and_inputs_stay(window, monkeypatch):
    """Inputs lie between NaN: a read beyond them would show in the results."""
    case = Case(S=17, H=2, Hkv=1, D=24, w1=5, w2=9, B=1)
    x = draw(case)
    guarded = [in_halo(t) for t in x[:6]]
    with tiles(monkeypatch, window=window):
        check(case, x, by_kernels(case, [*(g.tensor for g in guarded), x[6]]))
    for g, t in zip(guarded, x, strict=False):
        assert g.halo_intact()
        assert torch.equal(g.tensor, t)


@BOTH
def test_twice_the_same_bits(window, monkeypatch):
    case = Case(S=33, H=2, Hkv=1, w1=5, w2=9, B=1)
    x = draw(case)
    with tiles(monkeypatch, window=window):
        one, two = by_kernels(case, x), by_kernels(case, x)
    for name in NAMES:
        assert torch.equal(one[name], two[name]), name


@BOTH
def test_the_future_is_not_seen(window, monkeypatch):
    case = Case(S=12, H=2, Hkv=1, w1=4, w2=6, B=1)
    x = draw(case)
    changed = [t.clone() for t in x[:5]]
    for t in changed[1:]:
        t[:, 8:] = 100.0
    with tiles(monkeypatch, window=window):
        before, after = (two_simplicial_attention(*t, **case.options) for t in (x[:5], changed))
    assert torch.equal(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 8:], after[:, 8:])


# Scratch


def test_scratch_in_chunks_gives_the_same_gradients(monkeypatch):
    case = Case(S=20, H=2, Hkv=2, w1=5, w2=9, B=1)
    x = draw(case)
    for window in (False, True):
        with tiles(monkeypatch, window=window):
            whole = by_kernels(case, x)
            monkeypatch.setattr(configs, "SCRATCH_BYTES", 15_000)
            calls = []
            monkeypatch.setattr(
                "simplex_kernels.backward.blocks_at_once", lambda *a, calls=calls: calls.append((a, n := blocks_at_once(*a))) or n
            )
            chunked = by_kernels(case, x)
        ((total, block_bytes), at_once) = calls[0]
        assert 1 <= at_once < total / 2, "the chunks must be several"
        assert at_once * block_bytes <= 15_000
        for name in NAMES:
            torch.testing.assert_close(chunked[name], whole[name], rtol=2e-6, atol=2e-6, msg=lambda m, name=name: f"{name}: {m}")
        monkeypatch.undo()


@pytest.mark.parametrize(("H", "w"), [(32, 256), (32, 32), (1, 4096)])
def test_scratch_has_a_bound(H, w):
    """MHA with 32 heads and windows of 256: whole, the partial sums would take gigabytes."""
    from simplex_kernels.problem import Problem

    e = torch.empty(4, 8192, H, 128, dtype=torch.bfloat16, device="meta")
    p = Problem(e, e, e, e, e, w, w, 0.1)
    tile = configs.backward_keys(p)
    from simplex_kernels.backward_keys import tiles as tiles_of_keys

    n = tiles_of_keys(p, tile)
    block_bytes = 2 * 4 * 128 * n * (tile.block_j + tile.block_k)
    total = 4 * H * 8192 // tile.block_j
    assert blocks_at_once(total, block_bytes) * block_bytes <= 512 * 2**20
    assert total * block_bytes > 512 * 2**20


# PyTorch's own checks


@pytest.mark.filterwarnings("ignore")
@BOTH
@pytest.mark.parametrize(("w1", "w2", "documents"), [(2, 3, False), (3, 2, True)])
def test_opcheck(w1, w2, documents, window, monkeypatch):
    case = Case(S=4, H=2, Hkv=1, w1=w1, w2=w2, B=1)
    *x, do, dlse2 = draw(case)
    x = [t.requires_grad_() for t in x]
    runs = torch.tensor([[0, 0, 1, 1]], device=DEVICE) if documents else None
    with tiles(monkeypatch, window=window):
        torch.library.opcheck(operation.attention, (*x, runs, w1, w2, 0.25, False, 0.1, 0.2))
        x = [t.detach() for t in x]
        o, lse2 = operation.attention(*x, runs, w1, w2, 0.25, False, 0.1, 0.2)
        torch.library.opcheck(operation.attention_backward, (*x, runs, o, lse2, do, dlse2, w1, w2, 0.25, False, 0.1, 0.2))
        if not window:
            torch.library.opcheck(operation.decode, (x[0][:, -1:], *x[1:], None, w1, w2, 0.25, False, 0.0, 0.0))


@pytest.mark.skipif(CUDA, reason="fp64 runs in the interpreter only")
@pytest.mark.parametrize("logits", ["trilinear", "determinant"])
@BOTH
def test_gradcheck_of_the_kernels_themselves(window, logits, monkeypatch):
    if window and logits == "determinant":
        pytest.skip("the window kernels have no determinant")
    case = Case(S=4, H=2, Hkv=1, w1=2, w2=3, B=1, D=17, dtype=torch.float64, logits=logits)
    x = [t.requires_grad_() for t in draw(case)[:5]]
    with tiles(monkeypatch, window=window):
        operation_ = lambda *t: two_simplicial_attention(*t, **case.options, return_lse2=True)  # noqa: E731
        assert torch.autograd.gradcheck(operation_, x, fast_mode=True)


@pytest.mark.skipif(CUDA, reason="fp64 runs in the interpreter only")
def test_gradcheck_entry_by_entry(monkeypatch):
    case = Case(S=2, H=1, Hkv=1, w1=2, w2=2, B=1, D=16, dtype=torch.float64)
    x = [t.requires_grad_() for t in draw(case)[:5]]
    with tiles(monkeypatch, window=False):
        assert torch.autograd.gradcheck(lambda *t: two_simplicial_attention(*t, **case.options), x)


@pytest.mark.filterwarnings("ignore")
def test_compile_without_graph_break(monkeypatch):
    x = draw(TINY)
    with tiles(monkeypatch, window=False):
        expected = by_kernels(TINY, x)

        @torch.compile(fullgraph=True, backend="inductor" if CUDA else "aot_eager")
        def layer(*t):
            o, lse2 = two_simplicial_attention(*(2 * s for s in t), **TINY.options, return_lse2=True)
            return o + 1, lse2

        leaves = [(t / 2).detach().requires_grad_() for t in x[:5]]
        o, lse2 = layer(*leaves)
        gradients = torch.autograd.grad((o, lse2), leaves, (x[5], x[6]))
    torch.testing.assert_close(o - 1, expected["o"])
    torch.testing.assert_close(lse2, expected["lse2"])
    for name, g in zip(NAMES[2:], gradients, strict=True):
        torch.testing.assert_close(g, 2 * expected[name], rtol=1e-4, atol=1e-4)


@BOTH
def test_vmap_is_one_call_after_the_other(window, monkeypatch):
    """An ensemble of three; the first keys are shared, and the queries' mapped axis is their second."""
    case = replace(TINY, documents=True)
    many = [torch.stack([draw(replace(case, seed=seed))[n] for seed in range(3)]) for n in range(6)]
    many[0], many[1] = many[0].movedim(0, 1).contiguous(), many[1][0]
    in_dims, options, leaves = (1, None, 0, 0, 0), case.options, [x.requires_grad_() for x in many[:5]]
    with tiles(monkeypatch, window=window):
        together = torch.vmap(lambda *x: two_simplicial_attention(*x, **options), in_dims)(*leaves)
        alone = [[x if at is None else x.select(at, m) for x, at in zip(leaves, in_dims, strict=True)] for m in range(3)]
        alone = torch.stack([two_simplicial_attention(*x, **options) for x in alone])
        torch.testing.assert_close(together, alone)
        got, expected = (torch.autograd.grad(o, leaves, many[5]) for o in (together, alone))
    for name, g, e in zip(NAMES[2:], got, expected, strict=True):
        torch.testing.assert_close(g, e, msg=name)


def test_autocast_takes_its_dtype(monkeypatch):
    x = draw(TINY)
    with tiles(monkeypatch, window=False), torch.autocast(DEVICE, dtype=torch.float16):
        leaves = [t.requires_grad_() for t in x[:5]]
        o = two_simplicial_attention(*leaves, **TINY.options)
        o.float().sum().backward()
        half = two_simplicial_attention(*(t.half() for t in leaves), **TINY.options)
    assert o.dtype == torch.float16
    assert torch.equal(o, half)
    assert all(t.grad.dtype == torch.float32 for t in leaves)


def test_autocast_leaves_what_the_kernels_refuse(monkeypatch):
    with tiles(monkeypatch, window=False), torch.autocast(DEVICE, dtype=torch.float16):
        x = tensors(dtype=torch.int32)
        with pytest.raises(ValueError, match=r"q has dtype torch\.int32"):
            two_simplicial_attention(**x, w1=2, w2=2)
        x = tensors(v2=lambda t: t.half())  # mixed floating dtypes meet in autocast's
        assert two_simplicial_attention(**x, w1=2, w2=2).dtype == torch.float16


def test_gradients_of_one_input_and_of_the_log_sum_exp_alone(monkeypatch):
    x = draw(TINY)
    with tiles(monkeypatch, window=False):
        full = by_kernels(TINY, x)
        for n, name in enumerate(NAMES[2:]):
            leaves = [t.detach().clone().requires_grad_(m == n) for m, t in enumerate(x[:5])]
            o, lse2 = two_simplicial_attention(*leaves, **TINY.options, return_lse2=True)
            torch.autograd.backward((o, lse2), (x[5], x[6]))
            assert torch.equal(leaves[n].grad, full[name]), name
        leaves = [t.detach().clone().requires_grad_() for t in x[:5]]
        two_simplicial_attention(*leaves, **TINY.options, return_lse2=True)[1].backward(x[6])
    assert leaves[3].grad.abs().max() == leaves[4].grad.abs().max() == 0
    expected = by_reference(TINY, [*x[:5], torch.zeros_like(x[5]), x[6]])
    for t, name in zip(leaves[:3], NAMES[2:], strict=False):
        torch.testing.assert_close(t.grad.double(), expected[name], rtol=1e-4, atol=1e-5)


# Decoding


def test_a_length_outside_the_cache_is_cut_to_it(monkeypatch):
    x = draw(Case(S=6, H=2, Hkv=1, w1=2, w2=3, B=4))
    x = [x[0][:, -2:], *x[1:5]]
    with tiles(monkeypatch, window=False):
        cut, plain = (two_simplicial_decode(*x, w1=2, w2=3, lengths=torch.tensor(n, device=DEVICE)) for n in ((-5, 0, 7, 99), (2, 2, 6, 6)))
    assert torch.equal(cut, plain)


@pytest.mark.parametrize("logits", ["trilinear", "determinant"])
@pytest.mark.parametrize(("w1", "w2"), [(3, 9), (9, 3), (None, None)])
@pytest.mark.parametrize(("Sq", "lengths"), [(1, None), (3, None), (2, [7, 20]), (1, [1, 5])])
def test_decode_continues_the_sequence(Sq, lengths, w1, w2, logits, monkeypatch):
    """What lies behind a cache's length is NaN and must not be read."""
    x = draw(Case(S=20, H=4, Hkv=2, w1=w1, w2=w2))
    caches = [t.clone() for t in x[1:5]]
    for b, n in enumerate(lengths or []):
        for t in caches:
            t[b, n:] = torch.nan
    filled = lengths or [20, 20]
    q = torch.stack([x[0][b, n - Sq : n] for b, n in enumerate(filled)])
    with tiles(monkeypatch, window=False):
        given = None if lengths is None else torch.tensor(lengths, device=DEVICE)
        got = two_simplicial_decode(q, *caches, w1=w1, w2=w2, lengths=given, logits=logits, k2_bias=0.1, v2_bias=0.3)
    for b, n in enumerate(filled):
        q_, k1, k2, v1, v2 = (t[b : b + 1, :n].double() for t in x[:5])
        expected = reference.two_simplicial(q_, k1, k2 + 0.1, v1, v2 + 0.3, w1=w1, w2=w2, logits=logits).o[0, n - Sq :]
        torch.testing.assert_close(got[b].double(), expected, rtol=1e-5, atol=1e-5)


# Documents


def test_document_bounds():
    runs = torch.tensor([[4, 4, 4, 1, 4, 4], [0, 1, 2, 2, 2, 3]])
    starts, ends = document_bounds(runs)
    assert starts.tolist() == [[0, 0, 0, 3, 4, 4], [0, 1, 2, 2, 2, 5]]
    assert ends.tolist() == [[2, 2, 2, 3, 5, 5], [0, 1, 4, 4, 4, 5]]
    own = same_document(runs)
    for b in range(2):
        for i in range(6):
            assert own[b, i].nonzero().flatten().tolist() == list(range(starts[b, i], ends[b, i] + 1))


@BOTH
def test_packed_documents_are_those_documents_alone(window, monkeypatch):
    case = Case(S=20, H=2, Hkv=1, w1=4, w2=9, B=1)
    x = draw(case)
    cuts = [0, 3, 4, 13, 20]
    runs = torch.cat([torch.full((b - a,), n) for n, (a, b) in enumerate(pairwise(cuts))])[None].to(DEVICE)
    with tiles(monkeypatch, window=window):
        packed = two_simplicial_attention(*x[:5], w1=4, w2=9, documents=runs)
        alone = [two_simplicial_attention(*(t[:, a:b] for t in x[:5]), w1=4, w2=9) for a, b in pairwise(cuts)]
    torch.testing.assert_close(packed, torch.cat(alone, 1), rtol=1e-5, atol=1e-5)
