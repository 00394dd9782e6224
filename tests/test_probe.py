"""Weights read out of a model are those it computes with."""

from dataclasses import replace

import pytest
import torch

from simplex_lab.model import Model, ModelConfig
from simplex_lab.probe import pair_weights

SMALL = ModelConfig(vocabulary=5, length=6, layers=("dot", "simplicial"), width=12, heads=2, hidden=8)


@pytest.mark.parametrize("options", [{}, {"w1": 2, "w2": 4}, {"qk_norm": True, "k2_bias": 0.5}, {"logits": "determinant", "key_heads": 1}])
def test_the_weights_give_what_the_layer_gives(options):
    torch.manual_seed(0)
    model, x = Model(replace(SMALL, **options)), torch.randint(5, (3, 6))
    kept = []
    attention = model.layers[1].attention
    attend = attention.attend
    attention.attend = lambda *parts: kept.append((parts, attend(*parts))) or kept[-1][1]
    model(x)
    del attention.attend
    P = pair_weights(model, 1, x)
    assert torch.allclose(P.sum((3, 4)), torch.ones(3, 2, 6))
    (*_, v1, v2), o = kept[0]
    v1, v2 = (v.repeat_interleave(2 // v.shape[2], 2) for v in (v1, v2))
    assert torch.allclose(torch.einsum("bhijk,bjhd,bkhd->bihd", P, v1, v2), o, atol=1e-5)


def test_the_model_is_left_as_it_was():
    model, x = Model(SMALL), torch.randint(5, (1, 6))
    before = model(x)
    pair_weights(model, 1, x)
    assert "attend" not in vars(model.layers[1].attention)
    assert torch.equal(model(x), before)


def test_a_dot_product_layer_is_refused():
    with pytest.raises(ValueError, match="layer=0 is a dot-product layer"):
        pair_weights(Model(SMALL), 0, torch.zeros(1, 6, dtype=torch.long))
