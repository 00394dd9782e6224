"""The first rungs of chapter 10's ladder compute the operation, with either loop outside."""

import pytest
import torch

from simplex_lab import reference
from simplex_lab.ladder import ladder

CUDA = torch.cuda.is_available()


@pytest.mark.parametrize("outer", ["j", "k"])
@pytest.mark.parametrize(("B", "S", "H", "w1", "w2"), [(2, 9, 3, 2, 5), (1, 20, 5, 3, 17)])
def test_a_rung_is_the_reference(B, S, H, w1, w2, outer):
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(B, S, h, 16, generator=gen).to("cuda" if CUDA else "cpu") for h in (H, 1, 1, 1, 1)]
    expected = reference.two_simplicial(*(t.double() for t in x), w1=w1, w2=w2).o
    torch.testing.assert_close(ladder(*x, w1=w1, w2=w2, outer=outer, block=16).double(), expected, rtol=0, atol=1e-5)


def test_several_key_heads_are_refused():
    x = [torch.ones(1, 2, h, 16) for h in (4, 2, 2, 2, 2)]
    with pytest.raises(ValueError, match="2 key heads"):
        ladder(*x, w1=1, w2=1, outer="k")
