"""The backward in one kernel with atomics gives the reference's gradients: what is timed beside the library must be right."""

import pytest
import torch

from simplex_lab import reference
from simplex_lab.one_pass import one_pass

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(("B", "S", "H", "Hkv", "D", "w1", "w2"), [(2, 9, 6, 2, 16, 3, 20), (1, 20, 3, 1, 32, 4, 17)])
def test_gradients_are_the_reference_s(B, S, H, Hkv, D, w1, w2):
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(B, S, h, D, generator=gen).to(DEVICE).requires_grad_() for h in (H, Hkv, Hkv, Hkv, Hkv)]
    do = torch.randn(B, S, H, D, generator=gen).to(DEVICE)
    got = torch.autograd.grad(one_pass(*x, w1=w1, w2=w2, block=16), x, do)
    exact = [t.detach().double().requires_grad_() for t in x]
    expected = torch.autograd.grad(reference.two_simplicial(*exact, w1=w1, w2=w2).o, exact, do.double())
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g.double(), e, rtol=0, atol=2e-5 * e.abs().max().item())
