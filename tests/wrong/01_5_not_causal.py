"""A window is centred on its query.

exercise: 01.5
rung: hand
diagnosis: not-causal
"""

import torch


def window_mask(S, w):
    i, j = torch.arange(S)[:, None], torch.arange(S)[None]
    return (i - j).abs() < w
