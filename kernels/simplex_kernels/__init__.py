"""Triton kernels for 2-simplicial attention: forward and backward, any windows, any head grouping.

``two_simplicial_attention`` is the operation, ``two_simplicial_decode`` its step against a cache. See ``kernels/README.md``.
"""

from simplex_kernels.attention import two_simplicial_attention, two_simplicial_decode

__all__ = ["two_simplicial_attention", "two_simplicial_decode"]
