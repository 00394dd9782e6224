"""Kernels for compute capability 9.0 in Gluon, Triton's front end with explicit layouts. Not yet run: nothing chooses them."""
