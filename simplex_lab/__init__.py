"""Simplex Lab: the helper package of a notebook course on 2-simplicial attention (arXiv:2507.02754)."""

__version__ = "0.1.0"
