"""A query looks at the tokens before it.

exercise: 01.5
rung: hand
diagnosis: self-not-counted
"""

import torch


def window_mask(S, w):
    i, j = torch.arange(S)[:, None], torch.arange(S)[None]
    return (j < i) & (j > i - w)
