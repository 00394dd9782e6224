"""What the Hopper kernels share: rows and tiles from memory, and an order of channels in which each thread's lie side by side."""

from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl

from simplex_kernels.hopper.gluon import copy_to_shared

ROWS, WARPS = 128, 8  # two warpgroups of 64 rows


@gluon.constexpr_function
def lanes(D, warps):
    """A row of ``D`` channels: a quarter for each lane ``c`` of four, as the products have it; all other lanes and warps hold the same."""
    registers = [[1 << n] for n in range((D // 4).bit_length() - 1)]
    same = [[0]] * (warps.bit_length() - 1)
    return gl.DistributedLinearLayout(registers, [[D // 4], [D // 2], [0], [0], [0]], same, [], [D])


@gluon.jit
def channel(x, D: gl.constexpr):
    """The channel in memory of the channel ``x`` of a product: those that one thread holds lie side by side in memory."""
    return x % 8 // 2 * (D // 4) + x // 8 * 2 + x % 2


@gluon.jit
def load_row(ptr, row, stride, D: gl.constexpr, LANES: gl.constexpr, LAYOUT: gl.constexpr):
    """Row ``row``, its channels in the order of :func:`channel`: wide loads, and nothing moves between threads."""
    x = gl.load(ptr + gl.cast(row, gl.int64) * stride + gl.arange(0, D, layout=LANES))
    x = x.reshape([4, D // 8, 2]).permute([1, 0, 2]).reshape([D])
    return gl.convert_layout(x, LAYOUT, assert_trivial=True)


@gluon.jit
def fetch(buffer, ptr, first, end, stride, rows, d):
    """Begin to copy rows ``first + rows`` of a key tensor into a buffer in shared memory; zeros from ``end`` on."""
    at = ptr + gl.cast(first, gl.int64) * stride + rows[:, None] * stride + d[None, :]
    copy_to_shared(buffer, at, mask=((first + rows) < end)[:, None])


def in_order(x: Tensor) -> Tensor:
    """A copy with the channels in the order of :func:`channel`."""
    return x.unflatten(-1, (4, x.shape[-1] // 8, 2)).transpose(-3, -2).flatten(-3)
