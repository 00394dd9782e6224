"""What Gluon calls differently from one Triton version to the next; the kernels hold none of it."""

from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy

barrier = getattr(gl, "barrier", None) or gl.thread_barrier  # 3.7.1 renamed it
copy_to_shared = getattr(async_copy, "async_load", None) or async_copy.async_copy_global_to_shared  # 3.9 did
commit_group = async_copy.commit_group
wait_group = async_copy.wait_group
