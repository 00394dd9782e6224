"""Votes know nothing about parity.

exercise: 02.3
rung: hand
diagnosis: coin
"""

import torch


def best_vote(span):
    return torch.tensor(0.5, dtype=torch.float64)
