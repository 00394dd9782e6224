"""A window of w reaches w tokens back.

exercise: 01.5
rung: hand
diagnosis: window-off-by-one
"""

import torch


def window_mask(S, w):
    i, j = torch.arange(S)[:, None], torch.arange(S)[None]
    return (j <= i) & (j >= i - w)
