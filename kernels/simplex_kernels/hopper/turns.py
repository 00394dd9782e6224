"""Two warpgroups take turns at the tensor cores: while one has them, the other computes exponentials.

Left to themselves they need not drift apart: both begin a tile at one barrier, share the tensor cores, then the special-function units,
and stay in step. So each waits at a barrier of its own, ``FIRST`` and the next number, until the other has handed its products over. The
bodies are PTX, since Gluon has no named barriers.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl

FIRST, THREADS = 8, 256  # Triton's own barriers have small numbers


@gluon.constexpr_function
def code(body, registers=1):
    """PTX that copies ``registers`` inputs to as many outputs and does ``body``; ``t`` is the warpgroup, 0 or 1."""
    moves = " ".join(f"mov.b32 ${n}, ${n + registers};" for n in range(registers))
    return f"{{ .reg .b32 t, u, z; .reg .pred p; mov.u32 t, %tid.x; shr.u32 t, t, 7; {body} {moves} }}"


@gluon.constexpr_function
def wait_for(registers):
    """Wait for the turn, but not before all inputs are there: what ties them to the barrier is a zero that ptxas does not know."""
    bits = " ".join(f"or.b32 u, u, ${registers + n};" for n in range(registers))
    return code(
        f"mov.b32 u, 0; {bits} mov.u32 z, %ctaid.z; and.b32 u, u, z; add.u32 t, t, u; add.u32 t, t, {FIRST}; bar.sync t, {THREADS};",
        registers,
    )


HAND_OVER = gl.constexpr(code(f"sub.u32 t, {FIRST + 1}, t; bar.arrive t, {THREADS};"))
LET_THE_OTHER_BEGIN = gl.constexpr(code(f"setp.eq.u32 p, t, 1; @p bar.arrive {FIRST}, {THREADS};"))
TAKE_THE_LAST = gl.constexpr(code(f"setp.eq.u32 p, t, 0; @p bar.sync {FIRST}, {THREADS};"))


@gluon.constexpr_function
def constraints(registers):
    return ",".join(["=r"] * registers + ["r"] * registers)


@gluon.jit
def turn_for(x):
    """``x``, of 16 bits an element, when it is this warpgroup's turn."""
    ELEMENTS: gl.constexpr = x.shape[0] * x.shape[1] // (32 * gl.num_warps())
    return gl.inline_asm_elementwise(wait_for(ELEMENTS // 2), constraints(ELEMENTS // 2), [x], x.dtype, is_pure=False, pack=ELEMENTS)


@gluon.jit
def pass_on(x):
    """It is the other warpgroup's turn. Loads that stand before this line stay there. ``x`` is any whole number."""
    gl.inline_asm_elementwise(HAND_OVER, "=r,r", [x], gl.int32, is_pure=False, pack=1)


@gluon.jit
def begin_turns(x):
    """The first turn is that of the first warpgroup."""
    gl.inline_asm_elementwise(LET_THE_OTHER_BEGIN, "=r,r", [x], gl.int32, is_pure=False, pack=1)


@gluon.jit
def end_turns(x):
    """The last turn was passed on to the first warpgroup, which takes it, so that no barrier is left half full."""
    gl.inline_asm_elementwise(TAKE_THE_LAST, "=r,r", [x], gl.int32, is_pure=False, pack=1)
