"""What the kernel tests share: inputs whose softmax is not flat, the fp64 reference of a case, and the error that a dtype may have."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from simplex_kernels import configs, two_simplicial_attention

from simplex_lab import reference
from simplex_lab.windows import same_document, visible_pairs

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
NAMES = ("o", "lse2", "dq", "dk1", "dk2", "dv1", "dv2")
FP32_TOLERANCE = 2e-5  # of the largest reference entry
# 16-wide tiles of different sizes: a sequence of 33 has edge, interior and diagonal tiles, and a block size taken for another one shows.
SMALL = {
    "forward": configs.Tile(rows=16, block_k=16),
    "backward_query": configs.Tile(rows=16, block_k=16),
    "backward_keys": configs.Tile(rows=16, block_k=16, block_j=8),
    "forward_window": configs.WindowTile(positions=7, warps=1),
    "backward_window": configs.WindowTile(positions=9, warps=2),
}


@dataclass(frozen=True)
class Case:
    S: int = 33
    H: int = 4
    Hkv: int = 2
    D: int = 16
    w1: int | None = 5
    w2: int | None = 20
    B: int = 2
    dtype: torch.dtype = torch.float32
    logits: str = "trilinear"
    k2_bias: float = 0.0
    v2_bias: float = 0.0
    documents: bool = False
    scale: float | None = None
    seed: int = 0

    def __str__(self):
        shown = {"B": self.B, "S": self.S, "H": f"{self.H}over{self.Hkv}", "D": self.D, "w": f"{self.w1}x{self.w2}"}
        flags = (
            [self.logits[:3]] * (self.logits != "trilinear")
            + ["bias"] * bool(self.k2_bias or self.v2_bias)
            + ["documents"] * self.documents
            + ["scale"] * (self.scale is not None)
        )
        return " ".join([f"{k}{v}" for k, v in shown.items()] + flags + [str(self.dtype).removeprefix("torch.")])

    @property
    def options(self) -> dict:
        names = {"k2_bias": self.k2_bias, "v2_bias": self.v2_bias} if self.k2_bias or self.v2_bias else {}
        options = {"w1": self.w1, "w2": self.w2, "logits": self.logits, "scale": self.scale}
        return options | {"documents": documents(self) if self.documents else None} | names


def documents(case: Case) -> torch.Tensor:
    """Documents of uneven lengths, other ones in each batch entry; a number may come back later and means a new document then."""
    gen = torch.Generator().manual_seed(case.seed)
    return (torch.rand(case.B, case.S, generator=gen) < 0.12).long().cumsum(1).remainder(3).to(DEVICE)


def draw(case: Case) -> list[torch.Tensor]:
    """``q, k1, k2, v1, v2, do, dlse2``; ``q`` is scaled until the median over queries of the largest weight lies between 0.05 and 0.9."""
    gen = torch.Generator().manual_seed(case.seed)
    heads = (case.H, *(case.Hkv,) * 4, case.H)
    x = [torch.randn(case.B, case.S, h, case.D, generator=gen, dtype=torch.float64) for h in heads]
    x.append(torch.randn(case.B, case.H, case.S, generator=gen, dtype=torch.float64))
    top = 1.0
    for gain in (1.0, 2.0, 3.0, 4.0, 6.0, 8.0):
        top = largest_weight(case, gain * x[0], x[1], x[2])
        if 0.05 <= top <= 0.9 or case.S == 1 or 1 == case.w1 == case.w2:
            x[0] *= gain
            return [t.to(case.dtype).to(DEVICE) for t in x[:-1]] + [x[-1].to(torch.promote_types(case.dtype, torch.float32)).to(DEVICE)]
    raise AssertionError(f"{case}: the softmax is flat or a single spike, median of the largest weight {top:.3f}")


def largest_weight(case: Case, q, k1, k2) -> float:
    logits = reference.trilinear_logits if case.logits == "trilinear" else reference.determinant_logits
    see = visible_pairs(case.S, case.w1, case.w2)
    if case.documents:
        own = same_document(documents(case).cpu())
        see = (see & own[:, :, :, None] & own[:, :, None, :])[:, None]
    weights = logits(q, k1, k2 + case.k2_bias, scale=case.scale).masked_fill(~see, -torch.inf).flatten(3).softmax(-1)
    return weights.amax(-1).median().item()


def results(operation, x: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Output and gradients of ``operation(q, k1, k2, v1, v2) -> (o, lse2)`` for the gradients ``x[5], x[6]`` of both outputs."""
    leaves = [t.detach().requires_grad_() for t in x[:5]]  # not cloned: a clone would lose the strides that a test is about
    assert [t.stride() for t in leaves] == [t.stride() for t in x[:5]]
    o, lse2 = operation(*leaves)
    gradients = torch.autograd.grad((o, lse2), leaves, (x[5].to(o.dtype), x[6].to(lse2.dtype)))
    return dict(zip(NAMES, (o.detach(), lse2.detach(), *gradients), strict=True))


def by_kernels(case: Case, x: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return results(lambda *t: two_simplicial_attention(*t, **case.options, return_lse2=True), x)


def by_reference(case: Case, x: list[torch.Tensor], dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    options = {name: value for name, value in case.options.items() if not name.endswith("bias")}

    def operation(q, k1, k2, v1, v2):
        return reference.two_simplicial(q, k1, k2 + case.k2_bias, v1, v2 + case.v2_bias, **options)

    return results(operation, [t.to(dtype) for t in x])


def check(case: Case, x: list[torch.Tensor] | None = None, got: dict[str, torch.Tensor] | None = None, names=NAMES) -> None:
    """The seven results of the kernels against fp64: every entry for fp32, the error at the worst position for low precision.

    Low precision is compared with what eager PyTorch achieves, as the root mean square over a position's entries: the largest of a few
    hundred independent roundings would compare luck with luck.
    """
    x = draw(case) if x is None else x
    got = by_kernels(case, x) if got is None else got
    eager = by_reference(case, x, case.dtype) if case.dtype.itemsize < 4 else None
    compare(str(case), got, by_reference(case, x), eager, names)


def compare(what: str, got: dict, expected: dict, eager: dict | None, names=NAMES) -> None:
    """Hold results against fp64: within FP32_TOLERANCE, or within twice the error of the same thing in eager low precision."""
    for name in names:
        assert got[name].isfinite().all(), f"{what}: {name} is not finite"
        if eager is None:
            error = (got[name].double() - expected[name]).abs().max().item()
            allowed = FP32_TOLERANCE * max(expected[name].abs().max().item(), 1e-3)
        else:
            error = worst_position(got[name].double() - expected[name])
            allowed = 2 * worst_position(eager[name].double() - expected[name]) + 1e-3 * expected[name].square().mean().sqrt().item()
        assert error <= allowed, f"{what}: {name} is off by {error:.2e}, allowed {allowed:.2e}"


def worst_position(x: torch.Tensor) -> float:
    """The largest over positions of the root mean square of a position's entries; ``[B, S, H, D]`` or ``[B, H, S]``."""
    x = x if x.dim() == 4 else x.transpose(1, 2)[..., None]
    return x.square().mean((0, 2, 3)).sqrt().max().item()


# Rows that see a single pair, themselves: all, all, the first of each of many short documents. Of many heads, since one rounding is luck.
SINGLE_PAIRS = [
    Case(S=1, H=16, Hkv=8, B=4),
    Case(S=5, H=16, Hkv=8, B=4, w1=1, w2=1, v2_bias=1.0),
    Case(S=20, H=8, Hkv=4, documents=True),
]


def check_single_pair_rows(case: Case) -> None:
    """A softmax of one pair is constant: where all rows have one, ``dq, dk1, dk2`` are 0, not the rounding error of ``dP - delta``."""
    x = draw(case)
    check(case, x)
    if not (case.S == 1 or case.w1 == case.w2 == 1):
        return
    x[6].zero_()  # the gradient of lse2 does come through
    got = by_kernels(case, x)
    terms = (x[5].double() * by_reference(case, x)["o"]).abs().sum(-1).max().item()
    for name in ("dq", "dk1", "dk2"):
        largest = got[name].abs().max().item()
        assert largest <= 1e-5 * terms, f"{case}: {name} is {largest:.1e} where it should be 0"


def in_dtypes(cases: list[Case]) -> list[Case]:
    """On a GPU the cases in three dtypes, in the interpreter in fp32."""
    low = [replace(case, dtype=dtype) for case in cases for dtype in (torch.float16, torch.bfloat16) if CUDA]
    return cases + low


@contextmanager
def tiles(monkeypatch, *, window: bool, **changed):
    """Force the small tiles, and the window kernels or the others, whatever the table says."""
    with monkeypatch.context() as patch:
        patch.setattr(configs, "window", lambda p: window)
        for name, tile in (SMALL | changed).items():
            patch.setattr(configs, name, lambda p, tile=tile: tile)
        yield


def poison(monkeypatch) -> None:
    """Memory that nobody wrote holds NaN: every ``torch.empty`` of floats is filled with it."""
    empty = torch.empty

    def poisoned(*args, **kwargs):
        x = empty(*args, **kwargs)
        return x.fill_(math.nan) if x.is_floating_point() and x.device.type != "meta" else x

    monkeypatch.setattr(torch, "empty", poisoned)
