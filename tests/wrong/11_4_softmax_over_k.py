"""A softmax for each j.

exercise: 11.4
rung: hand
diagnosis: softmax-over-k
"""

import torch


def simplicial_layer(x, Wq, Wk1, Wk2, Wv1, Wv2, Wo, H):
    """What a causal 2-simplicial attention adds to the stream."""
    (S, width), D = x.shape, x.shape[1] // H
    q = (x @ Wq.T).view(S, H, D)
    k1, k2, v1, v2 = ((x @ W.T).view(S, -1, D) for W in (Wk1, Wk2, Wv1, Wv2))
    k1, k2, v1, v2 = (t.repeat_interleave(H // t.shape[1], 1) for t in (k1, k2, v1, v2))
    A = torch.einsum("ihd,jhd,khd->hijk", q, k1, k2) * D**-0.5
    n = torch.arange(S)
    seen = n[:, None, None] >= torch.maximum(n[None, :, None], n[None, None, :])
    P = A.masked_fill(~seen, -torch.inf).softmax(-1).nan_to_num(0.0)
    o = torch.einsum("hijk,jhd,khd->ihd", P, v1, v2)
    return o.reshape(S, width) @ Wo.T
