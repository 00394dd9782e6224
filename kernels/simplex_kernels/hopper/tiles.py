"""What the Hopper kernels share: rows and tiles from memory, and an order of channels in which those of a thread lie side by side."""

from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl

from simplex_kernels.hopper.gluon import copy_to_shared

ROWS, WARPS = 128, 8  # two warpgroups of 64 rows


@gluon.constexpr_function
def lanes(D, warps):
    """A row of ``D`` channels: eight of each 32 for each lane ``c`` of four; all other lanes and warps hold the same.

    Four lanes read 64 bytes side by side, so that a load asks each bank of the L1 cache once. With a whole quarter of the row for each lane
    their addresses lie on the same banks, and a load takes two to four times as long.
    """
    registers = [[1], [2], [4], *([32 << n] for n in range((D // 32).bit_length() - 1))]
    same = [[0]] * (warps.bit_length() - 1)
    return gl.DistributedLinearLayout(registers, [[8], [16], [0], [0], [0]], same, [], [D])


@gluon.jit
def channel(x):
    """The channel in memory of the channel ``x`` of a product: of each 32, the eight that one thread holds lie side by side in memory."""
    return x // 32 * 32 + x % 8 // 2 * 8 + x // 8 % 4 * 2 + x % 2


@gluon.jit
def load_row(ptr, row, stride, D: gl.constexpr, LANES: gl.constexpr, LAYOUT: gl.constexpr):
    """Row ``row``, its channels in the order of :func:`channel`: wide loads, and nothing moves between threads."""
    x = gl.load(ptr + gl.cast(row, gl.int64) * stride + gl.arange(0, D, layout=LANES))
    x = x.reshape([D // 32, 4, 4, 2]).permute([0, 2, 1, 3]).reshape([D])
    return gl.convert_layout(x, LAYOUT, assert_trivial=True)


@gluon.jit
def fetch(buffer, ptr, first, end, stride, rows, d):
    """Begin to copy rows ``first + rows`` of a key tensor into a buffer in shared memory; zeros from ``end`` on."""
    at = ptr + gl.cast(first, gl.int64) * stride + rows[:, None] * stride + d[None, :]
    copy_to_shared(buffer, at, mask=((first + rows) < end)[:, None])


def in_order(x: Tensor) -> Tensor:
    """A copy with the channels in the order of :func:`channel`."""
    return x.unflatten(-1, (x.shape[-1] // 32, 4, 4, 2)).transpose(-3, -2).flatten(-4)
