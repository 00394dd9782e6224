# %% [markdown]
# # Exercise 10: making it fast
#
# One bound, two kernels, and a reader of compiled ones. They belong to [chapter 10](../chapters/10_making_it_fast.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example. You write the kernel; the function below it launches it,
# and stays as it is. `D`, `BLOCK` and `SCALE_LOG2`, which is `D ** -0.5 * log2(e)`, are constants of the set-up cell.
#
# Work in your own copy: `simplex-lab start 10` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it.
# <!-- /exercise -->
# <!-- solution -->
# These are the answers, with the reason for each, common mistakes, and what a pass does not prove. Try the exercise first.
# <!-- /solution -->

# %% [markdown]
# ## Set-up
#
# Run this cell first. Without a GPU, kernels run in Triton's interpreter.

# %%
from simplex_lab.interpreter import prepare

device = prepare()

import math
import re

import torch
import triton
import triton.language as tl

from simplex_lab.checks import check, checkpoint, hint

D = BLOCK = tl.constexpr(16)
SCALE_LOG2 = tl.constexpr(16**-0.5 * math.log2(math.e))

# %% [markdown]
# <!-- card 10.1 -->


# %%
def lower_bound(gflop, mbyte, tflops, tbs):
    """No kernel is faster than this."""
    ### BEGIN SOLUTION
    return max(gflop / tflops, mbyte / tbs / 1000)
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("10.1", lower_bound)

# %% [markdown] tags=["solution"]
# **Why.** Multiplying and loading overlap, so the slower of the two decides. A kernel far above both times waits for something else: latency, instructions, barriers.
#
# **Common mistakes.** Adding the two. Units: GFLOP over TFLOP/s are ms, MB over TB/s are microseconds.
#
# **What a pass does not prove.** That the peaks can be reached. A matrix product of the same run is an honester peak than a data sheet.

# %% [markdown]
# <!-- card 10.2 -->


# %%
@triton.jit
def pivoted_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, bound_ptr, out_ptr, w1, w2):
    """Program i owns row i of out, which is D + 1 long."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q, bound = tl.load(q_ptr + i * D + d), tl.load(bound_ptr + i)
    ### BEGIN SOLUTION
    l, acc = 0.0, tl.zeros([D], tl.float32)
    j_lo, k_lo = tl.maximum(i - w1 + 1, 0), tl.maximum(i - w2 + 1, 0)
    for k0 in range(k_lo, i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0)
        for j in range(j_lo, i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :].to(tl.float32) * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - bound), 0.0)
            l += tl.sum(p, 0)
            acc += tl.sum(p[:, None] * V2, 0) * v1
    tl.store(out_ptr + i * (D + 1) + d, acc / l)
    tl.store(out_ptr + i * (D + 1) + D, l)
    ### END SOLUTION


def pivoted(q, k1, k2, v1, v2, bound, w1, w2, out):
    pivoted_kernel[(len(q),)](q, k1, k2, v1, v2, bound, out, w1, w2)


# %%
from simplex_lab.checks import check

check("10.2", pivoted)

# %% [markdown] tags=["solution"]
# **Why.** Any number may stand for the maximum as long as nothing overflows and the sum does not vanish. A bound known in advance removes the maximum, the rescaling, and the dependence of each step on the one before.
#
# **Common mistakes.** Mixing bases: the bound is in base 2. Masking with minus infinity and a bound of its own for masked rows.
#
# **What a pass does not prove.** That the row is right when the bound is far off: if all weights underflow, l is 0 and the output NaN. That is why l is stored: the caller, or the kernel itself, looks at it and takes the online path if it is too small.

# %% [markdown]
# <!-- card 10.3 -->


# %%
@triton.jit
def shared_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, out_ptr, S, H, w1, w2):
    """Program p owns positions 2 p and 2 p + 1, with up to 8 heads each."""
    r, n, d = tl.arange(0, 16), tl.arange(0, BLOCK), tl.arange(0, D)
    i_first = tl.program_id(0) * 2
    i, h = i_first + r // 8, r % 8
    at_q, mine = (i * H + h)[:, None] * D + d[None, :], ((i < S) & (h < H))[:, None]
    ### BEGIN SOLUTION
    q = tl.load(q_ptr + at_q, mask=mine, other=0.0)
    m, l = tl.full([16], -1e30, tl.float32), tl.zeros([16], tl.float32)
    acc = tl.zeros([16, D], tl.float32)
    j_lo, k_lo = tl.maximum(i_first - w1 + 1, 0), tl.maximum(i_first - w2 + 1, 0)
    end = tl.minimum(i_first + 2, S)
    for k0 in range(k_lo, end, BLOCK):
        k = k0 + n
        rows = k[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=(k < end)[:, None], other=0.0)
        V2 = tl.load(v2_ptr + rows, mask=(k < end)[:, None], other=0.0)
        see_k = (k[None, :] <= i[:, None]) & (k[None, :] > i[:, None] - w2)
        for j in range(j_lo, end):
            k1, v1 = tl.load(k1_ptr + j * D + d)[None, :], tl.load(v1_ptr + j * D + d)[None, :]
            s2 = tl.dot(q * k1, tl.trans(K2), input_precision="ieee") * SCALE_LOG2
            s2 = tl.where(see_k & ((j <= i) & (j > i - w1))[:, None], s2, -float("inf"))
            m_new = tl.maximum(m, tl.max(s2, 1))
            alpha, p = tl.exp2(m - m_new), tl.exp2(s2 - m_new[:, None])
            l = l * alpha + tl.sum(p, 1)
            acc = acc * alpha[:, None] + tl.dot(p.to(V2.dtype), V2, input_precision="ieee") * v1
            m = m_new
    l = tl.where(i < S, l, 1.0)
    tl.store(out_ptr + at_q, acc / l[:, None], mask=mine)
    ### END SOLUTION


def shared(q, k1, k2, v1, v2, w1, w2, out):
    S, H, _ = q.shape
    shared_kernel[(triton.cdiv(S, 2),)](q, k1, k2, v1, v2, out, S, H, w1, w2)


# %%
from simplex_lab.checks import check

check("10.3", shared)

# %% [markdown] tags=["solution"]
# **Why.** Two neighbours see nearly the same keys. Sharing a tile halves what is loaded, at the price of a few pairs that only one of them sees: one more first key and one more second key.
#
# **Common mistakes.** Masks that use the program's first position for both rows. Loops that end at the first position. Rows behind the end of the sequence that divide by 0.
#
# **What a pass does not prove.** That it pays: with 64 heads the rows are full without it, and the masks are pure cost. The library's table takes as many heads as there are, and positions only for what is left.

# %% [markdown]
# <!-- card 10.4 -->


# %%
def read_kernel(usage, listing):
    """Registers, bytes spilled, products, exponentials, reloads."""
    ### BEGIN SOLUTION
    fields = dict(field.split(":") for field in usage.split())
    lines = re.findall(r"/\*(\w+)\*/ (?:@\S+ )?(\S+) ?(.*?) ?;", listing)
    addresses = [int(address, 16) for address, _, _ in lines]
    loops = []
    for n, (_, name, operands) in enumerate(lines):
        if name == "BRA" and int(operands, 16) <= addresses[n]:
            loops.append((addresses.index(int(operands, 16)), n))
    for a, b in loops:
        names = [name for _, name, _ in lines[a : b + 1]]
        inner = not any((a, b) != (c, d) and a <= c and d <= b for c, d in loops)
        products = sum(name.split(".")[0] == "HGMMA" for name in names)
        if inner and products:
            break
    exps = sum(name.startswith("MUFU.EX2") for name in names)
    reloads = sum(name.split(".")[0] == "LDL" for name in names)
    return torch.tensor([int(fields["REG"]), int(fields["STACK"]), products, exps, reloads])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("10.4", read_kernel)

# %% [markdown]
# A real one: `from simplex_lab import sass`, then `read_kernel(*sass.recorded("forward_kernel"))` reads the library's forward, as chapter 10 shows it.

# %% [markdown] tags=["solution"]
# **Why.** What stands in the innermost loop runs tens of thousands of times; what stands outside of it hardly counts. A spilled register that is reloaded once a tile costs nothing, one that is reloaded in each step costs a wait.
#
# **Common mistakes.** Counting the whole listing. Missing instructions behind a predicate. Taking each MUFU for an exponential.
#
# **What a pass does not prove.** That a kernel with fewer instructions is faster. A listing says what is to be done, not who waits for whom.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
