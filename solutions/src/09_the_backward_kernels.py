# %% [markdown]
# # Exercise 09: the backward kernels
#
# Three kernels and one set of equations. They belong to [chapter 09](../chapters/09_the_backward_kernels.ipynb).
#
# <!-- exercise -->
# Each exercise opens with its *card*: what to write, what goes in and comes out, and a small example. You write the kernel; the function below it launches it,
# and stays as it is. `D`, `BLOCK`, `SCALE`, which is `D ** -0.5`, and `SCALE_LOG2`, which is `SCALE * log2(e)`, are constants of the set-up cell.
#
# Work in your own copy: `simplex-lab start 09` puts it into `work/`, where no update can touch it. Replace `raise NotImplementedError()`,
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

import torch
import triton
import triton.language as tl

from simplex_lab.checks import check, checkpoint, hint

D = BLOCK = tl.constexpr(16)
SCALE, SCALE_LOG2 = tl.constexpr(16**-0.5), tl.constexpr(16**-0.5 * math.log2(math.e))

# %% [markdown]
# <!-- card 09.1 -->


# %%
@triton.jit
def dq_kernel(q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, out_ptr, w1, w2):
    """Program i owns row i of dq."""
    i, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    q, do, lse2 = tl.load(q_ptr + i * D + d), tl.load(do_ptr + i * D + d), tl.load(lse2_ptr + i)
    ### BEGIN SOLUTION
    delta = tl.sum(tl.load(o_ptr + i * D + d).to(tl.float32) * do, 0)
    dq = tl.zeros([D], tl.float32)
    for k0 in range(tl.maximum(i - w2 + 1, 0), i + 1, BLOCK):
        see_k = k0 + n <= i
        rows = (k0 + n)[:, None] * D + d[None, :]
        K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
        V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
        for j in range(tl.maximum(i - w1 + 1, 0), i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)
            dp = tl.sum((do * v1)[None, :] * V2, 1)
            dq += tl.sum((p * (dp - delta))[:, None] * K2, 0) * k1
    tl.store(out_ptr + i * D + d, dq * SCALE)
    ### END SOLUTION


def query_gradient(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    dq_kernel[(len(q),)](q, k1, k2, v1, v2, o, do, lse2, out, w1, w2)


# %%
from simplex_lab.checks import check

check("09.1", query_gradient)

# %% [markdown] tags=["solution"]
# **Why.** `lse2` turns each logit straight into its weight, so nothing is rescaled and the walk needs no maximum. `delta` stands for the sum over all pairs in the softmax's derivative, and the forward's output already holds it.
#
# **Common mistakes.** No delta. `exp2` of logits in base e. The scale, which the paper's equations leave out. `k1_j` forgotten behind the sum over k.
#
# **What a pass does not prove.** That dq is accurate when one weight is nearly 1: `dP - delta` is then a difference of nearly equal numbers.

# %% [markdown]
# <!-- card 09.2 -->


# %%
@triton.jit
def second_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, out_ptr, S, w1, w2
):
    """Program t owns second keys t * BLOCK ... of dk2 and, S * D behind it, dv2."""
    k0, n, d = tl.program_id(0) * BLOCK, tl.arange(0, BLOCK), tl.arange(0, D)
    k, rows = k0 + n, (k0 + n)[:, None] * D + d[None, :]
    K2 = tl.load(k2_ptr + rows, mask=(k < S)[:, None], other=0.0).to(tl.float32)
    V2 = tl.load(v2_ptr + rows, mask=(k < S)[:, None], other=0.0).to(tl.float32)
    ### BEGIN SOLUTION
    dk2, dv2 = tl.zeros([BLOCK, D], tl.float32), tl.zeros([BLOCK, D], tl.float32)
    for i in range(k0, tl.minimum(k0 + BLOCK + w2 - 1, S)):
        q, do, lse2 = tl.load(q_ptr + i * D + d), tl.load(do_ptr + i * D + d), tl.load(lse2_ptr + i)
        delta = tl.sum(tl.load(o_ptr + i * D + d).to(tl.float32) * do, 0)
        see_k = (k <= i) & (k > i - w2)
        for j in range(tl.maximum(i - w1 + 1, 0), i + 1):
            k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
            s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)
            dp = tl.sum((do * v1)[None, :] * V2, 1)
            dk2 += (p * (dp - delta))[:, None] * (q * k1)[None, :]
            dv2 += p[:, None] * (do * v1)[None, :]
    tl.store(out_ptr + rows, dk2 * SCALE, mask=(k < S)[:, None])
    tl.store(out_ptr + S * D + rows, dv2, mask=(k < S)[:, None])
    ### END SOLUTION


def second_key_gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    grid = (triton.cdiv(len(q), 16),)
    second_kernel[grid](q, k1, k2, v1, v2, o, do, lse2, out, len(q), w1, w2)


# %%
from simplex_lab.checks import check

check("09.2", second_key_gradients)

# %% [markdown] tags=["solution"]
# **Why.** A sum over queries belongs to a program that sees all of them. So the tile of keys stays in one program, with its two accumulators, and queries pass by, each with its window of first keys.
#
# **Common mistakes.** Queries only up to the end of the tile: those behind it see it, too, for w2 - 1 more positions. Only one side of `see_k`. Masks left to the store.
#
# **What a pass does not prove.** That it is fast: for each query the walk over j is repeated in every program whose keys it sees. The real kernel turns i and j round, so that heads and queries become rows of a product.

# %% [markdown]
# <!-- card 09.3 -->


# %%
@triton.jit
def first_kernel(
    q_ptr, k1_ptr, k2_ptr, v1_ptr, v2_ptr, o_ptr, do_ptr, lse2_ptr, out_ptr, S, w1, w2
):
    """Program j owns row j of dk1 and, S * D behind it, of dv1."""
    j, n, d = tl.program_id(0), tl.arange(0, BLOCK), tl.arange(0, D)
    k1, v1 = tl.load(k1_ptr + j * D + d), tl.load(v1_ptr + j * D + d)
    dk1, dv1 = tl.zeros([D], tl.float32), tl.zeros([D], tl.float32)
    ### BEGIN SOLUTION
    for i in range(j, tl.minimum(j + w1, S)):
        q, do, lse2 = tl.load(q_ptr + i * D + d), tl.load(do_ptr + i * D + d), tl.load(lse2_ptr + i)
        delta = tl.sum(tl.load(o_ptr + i * D + d).to(tl.float32) * do, 0)
        for k0 in range(tl.maximum(i - w2 + 1, 0), i + 1, BLOCK):
            see_k = k0 + n <= i
            rows = (k0 + n)[:, None] * D + d[None, :]
            K2 = tl.load(k2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
            V2 = tl.load(v2_ptr + rows, mask=see_k[:, None], other=0.0).to(tl.float32)
            s2 = tl.sum((q * k1)[None, :] * K2, 1) * SCALE_LOG2
            p = tl.where(see_k, tl.exp2(s2 - lse2), 0.0)
            dp = tl.sum((do * v1)[None, :] * V2, 1)
            dk1 += q * tl.sum((p * (dp - delta))[:, None] * K2, 0)
            dv1 += do * tl.sum(p[:, None] * V2, 0)
    tl.store(out_ptr + j * D + d, dk1 * SCALE)
    tl.store(out_ptr + S * D + j * D + d, dv1)
    ### END SOLUTION


def first_key_gradients(q, k1, k2, v1, v2, o, do, lse2, w1, w2, out):
    first_kernel[(len(q),)](q, k1, k2, v1, v2, o, do, lse2, out, len(q), w1, w2)


# %%
from simplex_lab.checks import check

check("09.3", first_key_gradients)

# %% [markdown] tags=["solution"]
# **Why.** Queries j to j + w1 - 1 see first key j, and a single program can visit them all. So nothing is shared, and nothing needs an atomic add.
#
# **Common mistakes.** Queries before j. A window of w1 counted from j - w1. Forgetting that a later query's second keys begin later.
#
# **What a pass does not prove.** Anything about three kernels in a row: each of them computes s2, P and dP anew. That is nine products for six useful ones; chapter 09 counts how the library gets along with seven.

# %% [markdown]
# These are equations 10 to 16 of the paper as they are printed (in this course's names), for queries that see every pair:
#
# $$dv1_{jd} = \sum_{ik} A_{ijk}\, do_{id}\, v2_{kd} \quad (10) \qquad dv2_{kd} = \sum_{ij} A_{ijk}\, do_{id}\, v1_{jd} \quad (11)$$
#
# $$dP_{ijk} = \sum_d do_{id}\, v1_{jd}\, v2_{kd} \quad (12) \qquad dA_{ijk} = P_{ijk}(dP_{ijk} - \delta_i) \quad (13)$$
#
# $$dk1_{jd} = \sum_{ik} q_{id}\, dA_{ijk}\, k2_{kd} \quad (14) \qquad dk2_{kd} = \sum_{ik} q_{id}\, dA_{ijk}\, k1_{jd} \quad (15)$$
#
# $$dq_{id} = \sum_{jk} dA_{ijk}\, k1_{jd}\, k2_{kd} \quad (16)$$


# %%
def printed(q, k1, k2, v1, v2, do):
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
    P = A.flatten(1).softmax(1).view_as(A)
    dP = torch.einsum("id,jd,kd->ijk", do, v1, v2)
    dA = P * (dP - (P * dP).sum((1, 2), keepdim=True))
    dv1 = torch.einsum("ijk,id,kd->jd", A, do, v2)
    dv2 = torch.einsum("ijk,id,jd->kd", A, do, v1)
    dk1 = torch.einsum("ijk,id,kd->jd", dA, q, k2)
    dk2 = torch.einsum("ijk,id,kd->jd", dA, q, k1)
    dq = torch.einsum("ijk,jd,kd->id", dA, k1, k2)
    return torch.stack([dq, dk1, dk2, dv1, dv2])


# %% [markdown]
# And this is what autograd says:


# %%
def by_autograd(q, k1, k2, v1, v2, do):
    leaves = [x.clone().requires_grad_() for x in (q, k1, k2, v1, v2)]
    A = torch.einsum("id,jd,kd->ijk", *leaves[:3]) * q.shape[1] ** -0.5
    P = A.flatten(1).softmax(1).view_as(A)
    o = torch.einsum("ijk,jd,kd->id", P, *leaves[3:])
    return torch.stack(torch.autograd.grad(o, leaves, do))


x = [torch.randn(4, 8, generator=torch.Generator().manual_seed(n)) for n in range(6)]
for name, one, other in zip(
    ("dq", "dk1", "dk2", "dv1", "dv2"), printed(*x), by_autograd(*x), strict=True
):
    print(f"{name:3s} as printed agrees with autograd: {torch.allclose(one, other, atol=1e-5)}")

# %% [markdown]
# <!-- card 09.4 -->


# %%
def mended(q, k1, k2, v1, v2, do):
    """dq, dk1, dk2, dv1, dv2, stacked; every query sees every pair."""
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * q.shape[1] ** -0.5
    P = A.flatten(1).softmax(1).view_as(A)
    dP = torch.einsum("id,jd,kd->ijk", do, v1, v2)
    ### BEGIN SOLUTION
    dA = P * (dP - (P * dP).sum((1, 2), keepdim=True)) * q.shape[1] ** -0.5
    dq = torch.einsum("ijk,jd,kd->id", dA, k1, k2)
    dk1 = torch.einsum("ijk,id,kd->jd", dA, q, k2)
    dk2 = torch.einsum("ijk,id,jd->kd", dA, q, k1)
    dv1 = torch.einsum("ijk,id,kd->jd", P, do, v2)
    dv2 = torch.einsum("ijk,id,jd->kd", P, do, v1)
    return torch.stack([dq, dk1, dk2, dv1, dv2])
    ### END SOLUTION


# %%
from simplex_lab.checks import check

check("09.4", mended)

# %% [markdown] tags=["solution"]
# **Why.** Equation 15 sums dK2 over *i* and *k*, but *k* is its own index: it must be *i* and *j*. Equations 10 and 11 print the logits *A* where the weights *P* belong. Equations 14 to 16 leave out the scale. A reader who implements the print meets all three.
#
# **Common mistakes.** Mending two of three. Taking delta for each *j*: the softmax is joint.
#
# **What a pass does not prove.** That a kernel has it right: see 09.1 to 09.3.

# %% [markdown]
# ## Done
#
# `simplex-lab progress` in a terminal shows where you are. The README's map says which chapter comes next.
