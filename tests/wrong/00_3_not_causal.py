"""Everything with everything.

exercise: 00.3
rung: hand
diagnosis: not-causal
"""

import torch


def scores(S):
    return torch.tensor([S**2, S**3])
