# %% [markdown]
# # Exercise 07: Triton in an hour
#
# Five small kernels. They belong to [chapter 07](../chapters/07_triton_in_an_hour.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example. You write the kernel; the function below it launches it,
# and stays as it is.
#
# Work in your own copy: `simplex-lab start 07` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
# run the cell, then run the check below it. A check watches what your kernel touches: on a CPU a kernel may read past its input and still be right.
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

import torch
import triton
import triton.language as tl

from simplex_lab.checks import check, checkpoint, hint

# %% [markdown]
# <!-- card 07.1 -->


# %%
@triton.jit
def axpy_kernel(a, x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Program p owns the numbers p * BLOCK to p * BLOCK + BLOCK - 1."""
    ### BEGIN SOLUTION
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    y = tl.load(y_ptr + at, mask=at < n, other=0.0)
    tl.store(out_ptr + at, a * x + y, mask=at < n)
    ### END SOLUTION


def axpy(a, x, y, out):
    axpy_kernel[(triton.cdiv(len(out), 16),)](a, x, y, out, len(out), BLOCK=16)


# %%
from simplex_lab.checks import check

check("07.1", axpy)

# %% [markdown] tags=["solution"]
# **Why.** All programs run the same code; only the number differs. The mask is needed because the last block is rarely full.
#
# **Common mistakes.** No mask: the last program reads and writes whatever lies behind. A mask with `<=`. The program's number left out, so that all of them do the first block.
#
# **What a pass does not prove.** Speed. Blocks of 16 are far too small for a GPU, which wants some hundred lanes a program here.

# %% [markdown]
# <!-- card 07.2 -->


# %%
@triton.jit
def row_lse2_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    """Program r owns row r, which begins r * stride behind x_ptr."""
    ### BEGIN SOLUTION
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + r * stride + c, mask=c < C, other=-float("inf")).to(tl.float32)
    m = tl.max(x, 0)
    l = tl.sum(tl.exp2(x - m), 0)
    tl.store(out_ptr + r, m + tl.log2(l))
    ### END SOLUTION


def row_lse2(x, out):
    R, C = x.shape
    row_lse2_kernel[(R,)](x, out, x.stride(0), C, BLOCK=triton.next_power_of_2(C))


# %%
from simplex_lab.checks import check

check("07.2", row_lse2)

# %% [markdown] tags=["solution"]
# **Why.** `tl.arange` needs a power of 2, so most rows leave lanes over. They must not win the maximum and must add nothing to the sum: minus infinity does both.
#
# **Common mistakes.** `other=0.0`, whose power is 1. No `other` at all: in the interpreter that happens to be 0, on a GPU it is anything. `C` in place of `stride`.
#
# **What a pass does not prove.** That a row of any length works: BLOCK grows with C, and a program's lanes have to fit into its registers. 07.3 walks instead.

# %% [markdown]
# <!-- card 07.3 -->


# %%
@triton.jit
def softmax_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    """Program r owns row r of x and of out, and walks over it twice."""
    ### BEGIN SOLUTION
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    m, l = -1e30, 0.0
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=-float("inf")).to(
            tl.float32
        )
        m_new = tl.maximum(m, tl.max(x, 0))
        l = l * tl.exp(m - m_new) + tl.sum(tl.exp(x - m_new), 0)
        m = m_new
    for c0 in range(0, C, BLOCK):
        x = tl.load(x_ptr + r * stride + c0 + c, mask=c0 + c < C, other=0.0).to(tl.float32)
        tl.store(out_ptr + r * C + c0 + c, tl.exp(x - m) / l, mask=c0 + c < C)
    ### END SOLUTION


def softmax_rows(x, out):
    R, C = x.shape
    softmax_kernel[(R,)](x, out, x.stride(0), C, BLOCK=16)


# %%
from simplex_lab.checks import check

check("07.3", softmax_rows)

# %% [markdown] tags=["solution"]
# **Why.** The first walk is the online softmax of chapter 06. Reading the row a second time costs less than keeping all of it.
#
# **Common mistakes.** Normalising each block by itself. Forgetting to rescale l. Using the input's stride for the output.
#
# **What a pass does not prove.** That l is accurate over very long rows: thousands of small weights are added one block after the other in fp32.

# %% [markdown]
# <!-- card 07.4 -->


# %%
@triton.jit
def product_kernel(a_ptr, b_ptr, out_ptr, M, N, K, BLOCK: tl.constexpr):
    """Program (p, r) owns rows p * BLOCK ... and columns r * BLOCK ... of out."""
    ### BEGIN SOLUTION
    m = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros([BLOCK, BLOCK], tl.float32)
    for k0 in range(0, K, BLOCK):
        k = k0 + tl.arange(0, BLOCK)
        a = tl.load(
            a_ptr + m[:, None] * K + k[None, :], mask=(m < M)[:, None] & (k < K)[None, :], other=0.0
        )
        b = tl.load(
            b_ptr + n[:, None] * K + k[None, :], mask=(n < N)[:, None] & (k < K)[None, :], other=0.0
        )
        acc += tl.dot(a, tl.trans(b), input_precision="ieee")
    tl.store(out_ptr + m[:, None] * N + n[None, :], acc, mask=(m < M)[:, None] & (n < N)[None, :])
    ### END SOLUTION


def product(a, b, out):
    (M, K), N = a.shape, len(b)
    product_kernel[triton.cdiv(M, 16), triton.cdiv(N, 16)](a, b, out, M, N, K, BLOCK=16)


# %%
from simplex_lab.checks import check

check("07.4", product)

# %% [markdown] tags=["solution"]
# **Why.** Each program needs 16 rows of a and 16 of b, and makes 256 sums from them: every number loaded is used 16 times. Larger tiles use it more often.
#
# **Common mistakes.** acc set to zero inside the loop. A missing mask on K: lanes beyond K belong to the next row, and are finite and wrong. Program numbers exchanged.
#
# **What a pass does not prove.** The precision on a GPU: without `input_precision="ieee"` its tl.dot rounds fp32 to 10 bits, which the interpreter does not.

# %% [markdown]
# A colleague sums columns by adding one row after the other to the output. On a CPU the sums are right.


# %%
@triton.jit
def racing_kernel(x_ptr, out_ptr, R, C, BLOCK: tl.constexpr):
    r = tl.program_id(0)
    for c0 in range(0, C, BLOCK):
        c = c0 + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)
        so_far = tl.load(out_ptr + c, mask=c < C, other=0.0)
        tl.store(out_ptr + c, so_far + x, mask=c < C)


x = torch.arange(12.0, device=device).view(4, 3)
out = torch.zeros(3, device=device)
racing_kernel[(4,)](x, out, 4, 3, BLOCK=16)
if device == "cpu":
    print(out.tolist(), x.sum(0).tolist())

# %% [markdown]
# <!-- card 07.5 -->


# %%
@triton.jit
def column_sums_kernel(x_ptr, out_ptr, R, C, BLOCK: tl.constexpr):
    """Who owns an element of out? Look at the grid below."""
    ### BEGIN SOLUTION
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros([BLOCK], tl.float32)
    for r in range(0, R):
        acc += tl.load(x_ptr + r * C + c, mask=c < C, other=0.0)
    tl.store(out_ptr + c, acc, mask=c < C)
    ### END SOLUTION


def column_sums(x, out):
    R, C = x.shape
    column_sums_kernel[(triton.cdiv(C, 16),)](x, out, R, C, BLOCK=16)


# %%
from simplex_lab.checks import check

check("07.5", column_sums)

# %% [markdown] tags=["solution"]
# **Why.** On a GPU two programs may both read `so_far` before either writes: one of the two rows is lost. The interpreter runs one program after the other, so the
# race never happens there. If a program owns its columns, there is nothing to race for.
#
# **Common mistakes.** An atomic add: right up to rounding, but the order of the sum changes from run to run, and so do its last bits. The kernels of this course have none.
#
# **What a pass does not prove.** That one program for 16 columns keeps a GPU busy. With few columns one splits the rows, writes partial sums and adds them in a second kernel.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
