"""The causal mask is all there is to it.

exercise: 01.5
rung: hand
diagnosis: no-window
"""

import torch


def window_mask(S, w):
    return torch.ones(S, S, dtype=torch.bool).tril()
