"""The fp64 oracle against loops over the definitions, against PyTorch's own attention, and its backward against autograd."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from simplex_lab import reference
from simplex_lab.reference import determinant_logits, dot_product, trilinear_logits, two_simplicial
from simplex_lab.windows import visible, visible_pairs

KINDS = [("trilinear", 5), ("determinant", 6), ("determinant", 7), ("determinant", 5)]
WINDOWS = [(6, None, None), (6, 2, 4), (6, 3, 3), (6, 4, 2), (6, 9, 2), (6, 2, 9), (1, 1, 1), (1, None, 3)]
TRIPLES = ("q", "k1", "k2", "v1", "v2")


def draw(names, *, B=2, S=6, H=4, Hkv=2, D=5, seed=0, grad=False):
    """Normal random inputs by name; all but q have Hkv heads."""
    gen = torch.Generator().manual_seed(seed)
    shapes = {name: (B, S, H if name in ("q", "do") else Hkv, D) for name in names}
    return [torch.randn(shape, generator=gen, dtype=torch.float64).requires_grad_(grad) for shape in shapes.values()]


def check_not_flat(A, lse2, see):
    """Errors hide in a flat softmax: the median over queries of the largest weight must lie between 0.05 and 0.9."""
    top = A.masked_fill(~see, -torch.inf).flatten(3).amax(-1)
    median = torch.exp2(top / math.log(2) - lse2).median().item()
    assert 0.05 <= median <= 0.9, f"the softmax is flat or a single spike: median of the largest weight {median:.3f}"


def label(options):
    return " ".join(f"{name}={value}" for name, value in options.items())


# Loops over the definition


def product_of_three(a, b, c):
    return sum(x * y * z for x, y, z in zip(a, b, c, strict=True))


def determinants(a, b, c):
    """The sum of the 3x3 determinants of the chunks; channels left over enter by their plain product."""
    whole = len(a) // 3 * 3
    total = product_of_three(a[whole:], b[whole:], c[whole:])
    for n in range(0, whole, 3):
        for (x, y, z), sign in zip(itertools.permutations((n, n + 1, n + 2)), (1, -1, -1, 1, 1, -1), strict=True):
            total += sign * a[x] * b[y] * c[z]
    return total


def by_loops(q, k1, k2, v1, v2, *, w1=None, w2=None, causal=True, scale=None, logits="trilinear"):
    """Output, base-2 log of the denominator and largest weight of every query, in Python floats."""
    B, S, H, D = q.shape
    group = H // k1.shape[2]
    score = product_of_three if logits == "trilinear" else determinants
    scale = scale or 1 / math.sqrt(D if logits == "trilinear" else 6 * (D // 3) + D % 3)
    o, lse2, largest = torch.empty(B, S, H, D, dtype=torch.float64), torch.empty(B, H, S, dtype=torch.float64), []
    Q, K1, K2, V1, V2 = (x.tolist() for x in (q, k1, k2, v1, v2))
    for b, i, h in itertools.product(range(B), range(S), range(H)):
        g = h // group
        seen = range(i + 1) if causal else range(S)
        js = [j for j in seen if w1 is None or j > i - w1]
        ks = [k for k in seen if w2 is None or k > i - w2]
        weights = {(j, k): math.exp(scale * score(Q[b][i][h], K1[b][j][g], K2[b][k][g])) for j in js for k in ks}
        total = sum(weights.values())
        for d in range(D):
            o[b, i, h, d] = sum(w / total * V1[b][j][g][d] * V2[b][k][g][d] for (j, k), w in weights.items())
        lse2[b, h, i] = math.log2(total)
        largest.append(max(weights.values()) / total)
    return o, lse2, sorted(largest)[len(largest) // 2]


@pytest.mark.parametrize(("logits", "D"), KINDS)
@pytest.mark.parametrize("Hkv", [4, 2, 1])
@pytest.mark.parametrize(("S", "w1", "w2"), WINDOWS)
def test_two_simplicial_is_its_definition(S, w1, w2, Hkv, logits, D):
    inputs = draw(TRIPLES, S=S, Hkv=Hkv, D=D)
    got = two_simplicial(*inputs, w1=w1, w2=w2, logits=logits)
    o, lse2, largest = by_loops(*inputs, w1=w1, w2=w2, logits=logits)
    torch.testing.assert_close(got.o, o, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got.lse2, lse2, rtol=1e-12, atol=1e-12)
    assert S == 1 or 0.05 <= largest <= 0.9


@pytest.mark.parametrize(("logits", "D"), KINDS)
@pytest.mark.parametrize("options", [{"causal": False}, {"scale": 0.7}, {"scale": 0.2, "w1": 2, "w2": 3}], ids=label)
def test_two_simplicial_follows_its_options(options, logits, D):
    inputs = draw(TRIPLES, S=5, D=D)
    got = two_simplicial(*inputs, logits=logits, **options)
    o, lse2, largest = by_loops(*inputs, logits=logits, **options)
    torch.testing.assert_close(got.o, o, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got.lse2, lse2, rtol=1e-12, atol=1e-12)
    assert 0.05 <= largest <= 0.9


# Dot product


@pytest.mark.parametrize("Hkv", [4, 2, 1])
@pytest.mark.parametrize(("S", "w", "causal"), [(7, None, True), (7, None, False), (7, 1, True), (7, 3, True), (7, 12, True), (1, 1, True)])
def test_dot_product_is_torchs(S, w, causal, Hkv):
    q, k, v = draw("qkv", S=S, Hkv=Hkv)
    mask = torch.ones(S, S, dtype=torch.bool)
    if causal:
        mask = mask.tril().triu(1 - (w or S))
    rows = [x.transpose(1, 2) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*rows, attn_mask=mask, enable_gqa=True).transpose(1, 2)
    got = dot_product(q, k, v, w=w, causal=causal)
    torch.testing.assert_close(got.o, expected, rtol=1e-12, atol=1e-12)
    if S > 1 and w != 1:
        check_not_flat(reference.dot_product_logits(q, k), got.lse2, mask)


def test_dot_product_follows_its_scale():
    q, k, v = draw("qkv")
    rows = [x.transpose(1, 2) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*rows, is_causal=True, enable_gqa=True, scale=0.9).transpose(1, 2)
    torch.testing.assert_close(dot_product(q, k, v, scale=0.9).o, expected, rtol=1e-12, atol=1e-12)


def test_lse2_of_dot_product_is_base_2():
    """Four equal logits of 0 have the denominator 4, and log2(4) = 2."""
    zero = torch.zeros(1, 4, 1, 3, dtype=torch.float64)
    assert dot_product(zero, zero, zero, causal=False).lse2.flatten().tolist() == pytest.approx([2.0] * 4)
    q, k, v = draw("qkv", Hkv=4)
    see = torch.ones(6, 6, dtype=torch.bool).tril()
    terms = torch.exp(torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(5)) * see
    torch.testing.assert_close(dot_product(q, k, v).lse2, terms.sum(-1).log2(), rtol=1e-12, atol=1e-12)


# Logits


@pytest.mark.parametrize("D", [3, 6, 4, 5, 8])
def test_determinant_logits_are_torchs_determinants(D):
    q, k1, k2 = draw(("q", "k1", "k2"), D=D, Hkv=4)
    q_, k1_, k2_ = torch.broadcast_tensors(q[:, :, None, None], k1[:, None, :, None], k2[:, None, None])  # [B, i, j, k, H, D]
    whole = D // 3 * 3
    expected = (q_ * k1_ * k2_)[..., whole:].sum(-1)
    for n in range(0, whole, 3):
        expected = expected + torch.linalg.det(torch.stack([x[..., n : n + 3] for x in (q_, k1_, k2_)], dim=-2))
    got = determinant_logits(q, k1, k2, scale=1.0)
    torch.testing.assert_close(got, expected.permute(0, 4, 1, 2, 3), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(determinant_logits(q, k1, k2), got / math.sqrt(2 * whole + D - whole), rtol=1e-12, atol=1e-12)


def test_determinant_logits_of_two_channels_are_plain_products():
    q, k1, k2 = draw(("q", "k1", "k2"), D=2)
    torch.testing.assert_close(determinant_logits(q, k1, k2), trilinear_logits(q, k1, k2))


@pytest.mark.parametrize(("logits", "D"), [*KINDS, ("determinant", 3)])
def test_default_scale_gives_unit_variance(logits, D):
    rows = (x[:, :, 0].flatten(0, 1) for x in draw(("q", "k1", "k2"), B=300, S=100, H=1, Hkv=1, D=D))
    q, k1, k2 = (x[:, None, None] for x in rows)  # one query and one pair a batch entry
    function = trilinear_logits if logits == "trilinear" else determinant_logits
    assert function(q, k1, k2).var().item() == pytest.approx(1, abs=0.1)


def test_det3_is_torchs_determinant():
    a, b, c = torch.randn(3, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(reference.det3(a, b, c), torch.linalg.det(torch.stack((a, b, c), -2)), rtol=1e-12, atol=1e-12)


def orthogonal(seed, n=3, det=1):
    """A random orthogonal matrix with the determinant asked for: 1 rotates, -1 reflects."""
    R = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]
    R[0] *= det * torch.linalg.det(R).sign()
    return R


def test_a_rotation_of_each_chunk_leaves_determinants_alone():
    q, k1, k2 = draw(("q", "k1", "k2"), D=6)
    R = torch.block_diag(orthogonal(1), orthogonal(2))
    before = determinant_logits(q, k1, k2)
    torch.testing.assert_close(determinant_logits(q @ R.T, k1 @ R.T, k2 @ R.T), before, rtol=1e-11, atol=1e-11)


def test_a_reflection_flips_the_sign_of_determinants():
    q, k1, k2 = draw(("q", "k1", "k2"), D=6)
    R = torch.block_diag(orthogonal(1, det=-1), orthogonal(2, det=-1))
    before = determinant_logits(q, k1, k2)
    torch.testing.assert_close(determinant_logits(q @ R.T, k1 @ R.T, k2 @ R.T), -before, rtol=1e-11, atol=1e-11)


def test_a_rotation_across_chunks_changes_determinants():
    q, k1, k2 = draw(("q", "k1", "k2"), D=6)
    R = orthogonal(3, n=6)
    assert (determinant_logits(q @ R.T, k1 @ R.T, k2 @ R.T) - determinant_logits(q, k1, k2)).abs().max() > 0.5


def test_a_rotation_changes_trilinear_logits_but_not_dot_products():
    q, k1, k2 = draw(("q", "k1", "k2"), D=6)
    R = torch.block_diag(orthogonal(1), orthogonal(2))
    assert (trilinear_logits(q @ R.T, k1 @ R.T, k2 @ R.T) - trilinear_logits(q, k1, k2)).abs().max() > 0.5
    before = reference.dot_product_logits(q, k1)
    torch.testing.assert_close(reference.dot_product_logits(q @ R.T, k1 @ R.T), before, rtol=1e-11, atol=1e-11)


# What stays the same, and what the layer contains


@pytest.mark.parametrize(("w1", "w2"), [(2, 4), (4, 2), (3, 3), (None, 2)])
def test_the_two_keys_may_trade_places(w1, w2):
    q, k1, k2, v1, v2 = draw(TRIPLES)
    one, other = two_simplicial(q, k1, k2, v1, v2, w1=w1, w2=w2), two_simplicial(q, k2, k1, v2, v1, w1=w2, w2=w1)
    torch.testing.assert_close(other.o, one.o, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other.lse2, one.lse2, rtol=1e-12, atol=1e-12)


def test_trading_places_flips_the_sign_of_determinants():
    q, k1, k2 = draw(("q", "k1", "k2"), D=6)
    traded = determinant_logits(q, k2, k1).transpose(-1, -2)
    torch.testing.assert_close(traded, -determinant_logits(q, k1, k2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("w1", "w2"), [(None, None), (3, 2), (2, 5)])
def test_ones_for_the_second_key_give_dot_product_attention(w1, w2):
    """Each visible k repeats the same weights, so only the denominator grows: by the number of visible k."""
    q, k1, v1 = draw(("q", "k", "v"))
    ones = torch.ones_like(k1)
    triple, pair = two_simplicial(q, k1, ones, v1, ones, w1=w1, w2=w2), dot_product(q, k1, v1, w=w1)
    torch.testing.assert_close(triple.o, pair.o, rtol=1e-12, atol=1e-12)
    seen = torch.tensor([min(i + 1, w2 or 6) for i in range(6)], dtype=torch.float64)
    torch.testing.assert_close(triple.lse2, pair.lse2 + seen.log2(), rtol=1e-12, atol=1e-12)


def test_large_logits_stay_finite():
    q, k1, k2, v1, v2 = draw(TRIPLES)
    got = two_simplicial(1000 * q, k1, k2, v1, v2)
    assert got.o.isfinite().all()
    assert got.lse2.isfinite().all()
    assert dot_product(1e4 * q, k1, v1).o.isfinite().all()


# Backward, by hand against autograd


BACKWARD = [
    {"Hkv": 4, "w1": None, "w2": None},
    {"Hkv": 2, "w1": 2, "w2": 4},
    {"Hkv": 1, "w1": 4, "w2": 2},
    {"Hkv": 2, "w1": 9, "w2": 3, "scale": 0.6},
    {"Hkv": 1, "w1": None, "w2": None, "causal": False},
    {"Hkv": 2, "S": 1, "w1": 2, "w2": 1},
]
GRADIENTS = [("trilinear", 5), ("determinant", 6), ("determinant", 7)]


def split(case):
    """Arguments of draw, arguments of attention."""
    case = dict(case)
    return {name: case.pop(name) for name in ("Hkv", "S") if name in case}, case


@pytest.mark.parametrize("case", BACKWARD, ids=label)
def test_dot_product_backward_is_autograds(case):
    sizes, options = split(case)
    options["w"] = options.pop("w1")
    options.pop("w2")
    q, k, v = draw("qkv", **sizes, grad=True)
    (do,) = draw(["do"], **sizes, seed=1)
    o, lse2 = dot_product(q, k, v, **options)
    expected = torch.autograd.grad(o, (q, k, v), do)
    with torch.no_grad():
        got = reference.dot_product_backward(q, k, v, o, lse2, do, **options)
        if q.shape[1] > 1:
            see = visible(q.shape[1], options["w"], causal=options.get("causal", True))
            check_not_flat(reference.dot_product_logits(q, k, scale=options.get("scale")), lse2, see)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("logits", "D"), GRADIENTS)
@pytest.mark.parametrize("case", BACKWARD, ids=label)
def test_two_simplicial_backward_is_autograds(case, logits, D):
    sizes, options = split(case)
    inputs = draw(TRIPLES, **sizes, D=D, grad=True)
    (do,) = draw(["do"], **sizes, D=D, seed=1)
    o, lse2 = two_simplicial(*inputs, **options, logits=logits)
    expected = torch.autograd.grad(o, inputs, do)
    with torch.no_grad():
        got = reference.two_simplicial_backward(*inputs, o, lse2, do, **options, logits=logits)
        if o.shape[1] > 1:
            function = trilinear_logits if logits == "trilinear" else determinant_logits
            see = visible_pairs(o.shape[1], options["w1"], options["w2"], causal=options.get("causal", True))
            check_not_flat(function(*inputs[:3], scale=options.get("scale")), lse2, see)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-11, atol=1e-11)


class ByHand(torch.autograd.Function):
    """An operation whose backward is the hand-written one."""

    @staticmethod
    def forward(ctx, forward, backward, options, *inputs):
        o, lse2 = forward(*inputs, **options)
        ctx.backward, ctx.options = backward, options
        ctx.save_for_backward(*inputs, o, lse2)
        return o

    @staticmethod
    def backward(ctx, do):
        return None, None, None, *ctx.backward(*ctx.saved_tensors, do, **ctx.options)


@pytest.mark.parametrize("Hkv", [1, 2])
@pytest.mark.parametrize("w", [None, 2])
def test_gradcheck_of_dot_product(w, Hkv):
    inputs = draw("qkv", B=1, S=3, H=2, Hkv=Hkv, D=3, grad=True)
    functions = (dot_product, reference.dot_product_backward, {"w": w})
    assert torch.autograd.gradcheck(lambda *x: ByHand.apply(*functions, *x), inputs)


@pytest.mark.parametrize(("logits", "D"), [("trilinear", 2), ("determinant", 3), ("determinant", 4), ("determinant", 6)])
@pytest.mark.parametrize(("Hkv", "w1", "w2"), [(1, 3, 2), (2, 1, None)])
def test_gradcheck_of_two_simplicial(Hkv, w1, w2, logits, D):
    inputs = draw(TRIPLES, B=1, S=3, H=2, Hkv=Hkv, D=D, grad=True)
    functions = (two_simplicial, reference.two_simplicial_backward, {"w1": w1, "w2": w2, "logits": logits})
    assert torch.autograd.gradcheck(lambda *x: ByHand.apply(*functions, *x), inputs)


# Precision


def worst(got, expected):
    return ((got.double() - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(("logits", "D"), [("trilinear", 16), ("determinant", 15)])
def test_fp32_agrees_with_fp64(logits, D):
    inputs, (do,) = draw(TRIPLES, S=17, D=D), draw(["do"], S=17, D=D, seed=1)
    options = {"w1": 4, "w2": 9, "logits": logits}

    def run(dtype):
        x = [t.to(dtype) for t in inputs]
        o, lse2 = two_simplicial(*x, **options)
        return o, lse2, *reference.two_simplicial_backward(*x, o, lse2, do.to(dtype), **options)

    low, high = run(torch.float32), run(torch.float64)
    function = trilinear_logits if logits == "trilinear" else determinant_logits
    check_not_flat(function(*inputs[:3]), high[1], visible_pairs(17, 4, 9))
    for got, expected in zip(low, high, strict=True):
        assert got.dtype == torch.float32
        assert worst(got, expected) < 2e-5


def test_fp32_agrees_with_fp64_for_dot_product():
    inputs, (do,) = draw("qkv", S=40, D=16), draw(["do"], S=40, D=16, seed=1)

    def run(dtype):
        x = [t.to(dtype) for t in inputs]
        o, lse2 = dot_product(*x, w=12)
        return o, lse2, *reference.dot_product_backward(*x, o, lse2, do.to(dtype), w=12)

    low, high = run(torch.float32), run(torch.float64)
    check_not_flat(reference.dot_product_logits(*inputs[:2]), high[1], visible(40, 12))
    for got, expected in zip(low, high, strict=True):
        assert got.dtype == torch.float32
        assert worst(got, expected) < 2e-5


# Errors


def spoil(x, what):
    """A neighbour of a [2, 6, 2, 5] tensor that does not fit, and what the message must say of it."""
    B, S, H, D = x.shape
    return {
        "batch": (x.new_zeros(3, S, H, D), "batch size 3, q has 2"),
        "sequence": (x.new_zeros(B, 7, H, D), "sequence size 7, q has 6"),
        "channel": (x.new_zeros(B, S, H, 4), "channel size 4, q has 5"),
        "heads": (x.new_zeros(B, S, 3, D), "3 heads, q has 4"),
        "no heads": (x.new_zeros(B, S, 0, D), "0 heads, q has 4"),
        "dimensions": (x[0], r"3 dimensions \(6, 2, 5\), expected 4"),
        "dtype": (x.float(), "dtype torch.float32, q has torch.float64"),
        "device": (x.to("meta"), "on meta, q is on cpu"),
    }[what]


@pytest.mark.parametrize("what", ["batch", "sequence", "channel", "heads", "no heads", "dimensions", "dtype", "device"])
@pytest.mark.parametrize(("function", "names"), [(dot_product, "qkv"), (two_simplicial, TRIPLES)], ids=["dot", "triple"])
def test_a_misfit_is_named(function, names, what):
    for name in names[1:]:
        inputs = dict(zip(names, draw(names), strict=True))
        inputs[name], says = spoil(inputs[name], what)
        with pytest.raises(ValueError, match=rf"^{name} (has|is) {says}"):
            function(**inputs)


def test_logits_name_a_misfit_too():
    q, k1, k2 = draw(("q", "k1", "k2"))
    for what in ("batch", "sequence", "channel", "heads", "dimensions", "dtype"):
        bad, says = spoil(k2, what)
        with pytest.raises(ValueError, match=f"^k2 has {says}"):
            trilinear_logits(q, k1, bad)
        with pytest.raises(ValueError, match=f"^k2 has {says}"):
            determinant_logits(q, k1, bad)
        with pytest.raises(ValueError, match=f"^k has {says}"):
            reference.dot_product_logits(q, bad)


def test_keys_and_values_need_the_same_heads():
    q, k1, k2, v1, v2 = draw(TRIPLES)
    with pytest.raises(ValueError, match=r"^v2 has 1 heads, k1 has 2"):
        two_simplicial(q, k1, k2, v1, v2[:, :, :1])
    with pytest.raises(ValueError, match=r"^k2 has 4 heads, k1 has 2"):
        trilinear_logits(q, k1, torch.cat((k2, k2), 2))
    with pytest.raises(ValueError, match=r"^v has 1 heads, k has 2"):
        dot_product(q, k1, v1[:, :, :1])


def test_q_needs_four_dimensions():
    q, k1, k2, v1, v2 = draw(TRIPLES)
    with pytest.raises(ValueError, match=r"^q has 3 dimensions \(6, 4, 5\), expected 4"):
        two_simplicial(q[0], k1, k2, v1, v2)


def test_unknown_logits_are_named():
    q, k1, k2, v1, v2 = draw(TRIPLES)
    with pytest.raises(ValueError, match="logits='sum': choose 'trilinear' or 'determinant'"):
        two_simplicial(q, k1, k2, v1, v2, logits="sum")
    with pytest.raises(ValueError, match="logits='sum'"):
        two_simplicial(q, k1, k2, v1, v2, logits="sum", scale=1.0)
    with pytest.raises(ValueError, match="logits='sum'"):
        reference.default_scale(6, "sum")


def test_backward_names_a_misfit():
    q, k1, k2, v1, v2 = draw(TRIPLES)
    (do,) = draw(["do"])
    o, lse2 = two_simplicial(q, k1, k2, v1, v2)
    with pytest.raises(ValueError, match="v2 has batch size 1, q has 2"):
        reference.two_simplicial_backward(q, k1, k2, v1, v2[:1], o, lse2, do)
    with pytest.raises(ValueError, match="do has batch size 1, q has 2"):
        reference.two_simplicial_backward(q, k1, k2, v1, v2, o, lse2, do[:1])
    with pytest.raises(ValueError, match="v has batch size 1, q has 2"):
        reference.dot_product_backward(q, k1, v1[:1], o, lse2, do)
