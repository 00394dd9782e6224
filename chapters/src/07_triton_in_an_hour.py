# %% [markdown] tags=["slide"]
# # 07 Triton in an hour
#
# After this chapter you can
#
# - write a Triton kernel: programs, lanes, masks, reductions, products of tiles,
# - look at what a kernel touches, element by element,
# - say what a kernel that passes on a CPU has not proved.
#
# No GPU is needed. Triton has an interpreter that runs a kernel with NumPy, one program after the other; `prepare` switches it on where there is no GPU. The same
# source compiles for a GPU.

# %%
from simplex_lab.interpreter import prepare

device = prepare()  # before triton is imported

import time

import torch
import triton
import triton.language as tl

from simplex_lab import plots
from simplex_lab.kernel_pictures import access_explorer, show_accesses
from simplex_lab.quiz import predict, quiz

plots.style()
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown] tags=["slide"]
# ## One picture
#
# Two vectors of 10 are added by three programs. Each cell is an element, its number is the program that touches it. (In pictures to come, a light cell with a cross is no element of the tensor.)


# %% tags=["more"]
@triton.jit
def plus_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    y = tl.load(y_ptr + at, mask=at < n, other=0.0)
    tl.store(out_ptr + at, x + y, mask=at < n)


x, y = torch.arange(10.0, device=device), torch.ones(10, device=device)
out = torch.empty(10, device=device)
show_accesses(lambda: plus_kernel[(3,)](x, y, out, 10, BLOCK=4))

# %% [markdown] tags=["slide"]
# ## Read it line by line
#
# `plus_kernel[(3,)](...)` launches three **programs**. All run the same code, and `tl.program_id(0)` is the only thing that differs: 0, 1, 2. On a GPU they run at once, in no order that you could rely on.

# %% [markdown]
# A program works on blocks of numbers. `tl.arange(0, BLOCK)` is `[0, 1, 2, 3]`; BLOCK is a power of 2, known when the kernel is compiled, hence `tl.constexpr`. We call the places of a block **lanes**.
#
# You pass a tensor, and the kernel gets a pointer: `x_ptr` is the address of its first element, with the element's type. `x_ptr + at` are four addresses, counted in elements, and `tl.load` fetches what lies there. A pointer cannot be indexed, and knows neither shape nor bounds: a kernel sees memory.

# %% [markdown] tags=["slide"]
# ## By hand
#
# Program 2 of three, BLOCK = 4, n = 10. Compute its offsets, and which of them the mask leaves on, before you run the cell.

# %% tags=["more"]
lanes = predict("How many of program 2's four lanes does the mask leave on?", "4", "2", "1")

# %%
program, BLOCK, n = 2, 4, 10
at = [program * BLOCK + lane for lane in range(BLOCK)]
mask = [offset < n for offset in at]
print("offsets", at, " mask", mask)
lanes.reveal(str(sum(mask)))

# %% [markdown]
# Lanes whose mask is off load nothing and store nothing. Step through the nine accesses. Dark cells are the lanes of this step; dashed ones are masked off.

# %% tags=["slide"]
access_explorer(lambda: plus_kernel[(3,)](x, y, out, 10, BLOCK=4), start=8)

# %% [markdown] tags=["slide"]
# ## How many programs?
#
# As many as cover the vector: n / BLOCK, rounded up. `triton.cdiv` does that. The launch is ordinary Python, and it is where most kernels get their shapes.


# %% tags=["more"]
def add(x, y, block=16):
    out = torch.empty_like(x)
    plus_kernel[(triton.cdiv(len(x), block),)](x, y, out, len(x), BLOCK=block)
    return out


x, y = torch.randn(1000, device=device), torch.randn(1000, device=device)
print("equal to x + y:", torch.equal(add(x, y), x + y))

# %% [markdown] tags=["slide"]
# ## A row becomes a number
#
# `tl.max(x, 0)` and `tl.sum(x, 0)` reduce a block along an axis. One program takes one row. The row has 5 columns and the block 8 lanes: what shall the three lanes beyond the row hold?

# %% tags=["more"]
pad = predict(
    "For a maximum over a row of negative numbers, masked lanes must hold",
    "0",
    "minus infinity",
    "anything",
)


# %%
@triton.jit
def row_max_kernel(x_ptr, out_ptr, stride, C, other, BLOCK: tl.constexpr):
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + r * stride + c, mask=c < C, other=other)
    tl.store(out_ptr + r, tl.max(x, 0))


rows = -1 - torch.rand(3, 5, device=device)
highest = {}
for other in (0.0, float("-inf")):
    found = torch.empty(3, device=device)
    row_max_kernel[(3,)](rows, found, rows.stride(0), 5, other, BLOCK=8)
    highest[other] = torch.equal(found, rows.amax(1))
    print(f"masked lanes hold {other}: equal to PyTorch's maximum {highest[other]}")
pad.reveal("minus infinity" if highest[float("-inf")] and not highest[0.0] else "0")

# %% [markdown]
# The value of masked lanes is part of the algorithm: 0 for a sum, minus infinity for a maximum, minus infinity for scores whose powers are summed. So give `other=` always.
#
# `stride` is how many elements lie between two rows. For a tensor that is a slice of a wider one, that is more than C.

# %% [markdown] tags=["slide"]
# ## A softmax that reads its row once
#
# In PyTorch a softmax by hand reads and writes the whole matrix several times: the maximum, the difference, the powers, the sum, the quotient. Here a program loads its row, does all of it in
# registers, and stores the result. That is *fusing*; chapter 10 counts what it is worth.


# %% tags=["more"]
@triton.jit
def softmax_row_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + r * stride + c, mask=c < C, other=-float("inf"))
    p = tl.exp(x - tl.max(x, 0))  # the maximum is finite: some lane is on in every row
    tl.store(out_ptr + r * C + c, p / tl.sum(p, 0), mask=c < C)


x = torch.randn(4, 5, device=device)
out = torch.empty_like(x)
softmax_row_kernel[(4,)](x, out, x.stride(0), 5, BLOCK=8)
print("equal to torch.softmax:", torch.allclose(out, x.softmax(1)))
show_accesses(lambda: softmax_row_kernel[(4,)](x, out, x.stride(0), 5, BLOCK=8))

# %% [markdown] tags=["slide"]
# ## A product in tiles
#
# Two axes of programs now: program (p, r) owns a tile of the output. It walks over the inner axis in steps, loads a tile of each factor, multiplies them with `tl.dot`, and adds to `acc`.
# `m[:, None]` is a column of row numbers, `k[None, :]` a row of channel numbers; their sum is a whole tile of offsets. Masks are joined by `&`. `input_precision="ieee"` asks for products in fp32: without it a GPU's `tl.dot` rounds fp32 to 10 bits.


# %%
@triton.jit
def matmul_kernel(a_ptr, b_ptr, out_ptr, M, N, K, BLOCK: tl.constexpr):
    m = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros([BLOCK, BLOCK], tl.float32)
    for k0 in range(0, K, BLOCK):
        k = k0 + tl.arange(0, BLOCK)
        in_a, in_b = (m < M)[:, None] & (k < K)[None, :], (k < K)[:, None] & (n < N)[None, :]
        # [BLOCK, BLOCK] @ [BLOCK, BLOCK] -> [BLOCK, BLOCK]
        a = tl.load(a_ptr + m[:, None] * K + k[None, :], mask=in_a, other=0.0)
        b = tl.load(b_ptr + k[:, None] * N + n[None, :], mask=in_b, other=0.0)
        acc += tl.dot(a, b, input_precision="ieee")
    in_out = (m < M)[:, None] & (n < N)[None, :]
    tl.store(out_ptr + m[:, None] * N + n[None, :], acc, mask=in_out)


# %%
def matmul(a, b, block=16):
    (M, K), N = a.shape, b.shape[1]
    out = torch.empty(M, N, device=a.device)
    matmul_kernel[triton.cdiv(M, block), triton.cdiv(N, block)](a, b, out, M, N, K, BLOCK=block)
    return out


a, b = torch.randn(50, 40, device=device), torch.randn(40, 33, device=device)
print("equal to a @ b:", torch.allclose(matmul(a, b), a @ b, atol=1e-5))

# %% [markdown]
# A picture needs a small case: 6 x 7 times 7 x 5 in tiles of 4. (A GPU wants at least 16 along the inner axis; more on that below.) Program 0 makes two steps over the inner axis, two loads each, and one store: follow its five accesses.

# %% tags=["more"]
a, b = torch.randn(6, 7, device=device), torch.randn(7, 5, device=device)
access_explorer(lambda: matmul(a, b, block=4 if device == "cpu" else 16), start=3)

# %% [markdown]
# Lanes 3, 7, 11 and 15 of the tile of a are masked, and their dashed cells lie in the *next* row: that is where the addresses point. Without the mask on K these lanes would read numbers that exist and belong to another row. In b, whose rows are channels, the same lanes would read beyond the last row, where the matrix ends.

# %% [markdown] tags=["slide"]
# ## The calls you need
#
# | call | what |
# |---|---|
# | `tl.program_id(axis)`, `tl.arange(0, N)`, `tl.zeros([M, N], tl.float32)` | numbers, blocks |
# | `tl.load(pointers, mask=, other=)`, `tl.store(pointers, values, mask=)` | memory |
# | `tl.sum(x, axis)`, `tl.max(x, axis)` | along an axis of a block |
# | `tl.maximum(a, b)`, `tl.minimum(a, b)`, `tl.where(mask, a, b)` | element by element |
# | `tl.exp`, `tl.exp2`, `tl.log2` | powers and logarithms |
# | `tl.dot(a, b)`, `tl.trans(a)` | products of tiles |
# | `x.to(tl.float32)` | another type |
#
# Sums and powers belong in fp32, also where the inputs are bf16 or fp16; the two factors of a `tl.dot` must have one type. The exercises' checks try fp16 on a CPU.

# %% [markdown] tags=["slide"]
# ## What a CPU pass does not prove
#
# The interpreter runs your kernel one program after the other, on memory that belongs to your process, in NumPy. A GPU does none of that. Six lies follow. The exercises' checks look for accesses outside of a tensor,
# undefined lanes, races, products too small for a GPU, and types that do not fit; bf16 and speed wait for a GPU.

# %% [markdown]
# **Lie 1: it stays inside its tensors.** This kernel has no masks, and its sums are right.


# %% tags=["more"]
@triton.jit
def unmasked_kernel(x_ptr, y_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at) + tl.load(y_ptr + at))


padded = [torch.ones(12, device=device) for _ in range(3)]  # room for what it writes too far
x, y, out = (t[:10] for t in padded)
unmasked_kernel[(3,)](x, y, out, BLOCK=4)
print("right:", torch.equal(out, x + y), " and behind it:", padded[2][10:].tolist())
show_accesses(lambda: unmasked_kernel[(3,)](x, y, out, BLOCK=4))

# %% [markdown]
# It overwrote two numbers of somebody else. On a GPU that is another tensor's data, or an illegal access that ends your process.

# %% [markdown]
# **Lie 2: masked lanes are 0.** Without `other=` they are undefined. The interpreter fills in 0, which here wins the maximum of negative numbers; on a GPU nobody promises a value (this version's compiler happens to choose 0, too). The exercises' checks fill such lanes with
# NaN and with huge numbers, and see whether the output changes.


# %%
@triton.jit
def no_other_kernel(x_ptr, out_ptr, C, BLOCK: tl.constexpr):
    c = tl.arange(0, BLOCK)
    tl.store(out_ptr, tl.max(tl.load(x_ptr + c, mask=c < C), 0))


if device == "cpu":
    x, out = torch.tensor([-3.0, -1.0, -2.0]), torch.empty(1)
    no_other_kernel[(1,)](x, out, 3, BLOCK=4)
    print(f"the maximum of {x.tolist()} is {out.item()}")

# %% [markdown]
# **Lie 3: programs wait for each other.** Four programs add their number to one sum. Each reads it, adds, and writes it back.

# %% tags=["slide"]
survives = predict(
    "On the CPU the sum 1 + 2 + 3 + 4 comes out as",
    "10, every time",
    "4, the last one",
    "anything from 1 to 10",
)


# %% tags=["slide"]
@triton.jit
def racing_kernel(x_ptr, sum_ptr):
    so_far = tl.load(sum_ptr)
    tl.store(sum_ptr, so_far + tl.load(x_ptr + tl.program_id(0)))


if device == "cpu":
    x, total = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(1)
    racing_kernel[(4,)](x, total)
    survives.reveal(f"{total.item():.0f}, every time")
    show_accesses(lambda: racing_kernel[(4,)](x, total))

# %% [markdown]
# On a GPU two programs may read the same `so_far`, and one of their numbers is lost. The check does not look at the sum. It looks for an element that two programs touch, one of them writing.
# Give every output element one owner, and the question never arises. This course's kernels use no atomics either: those save the sum, and add it up in another order on every run.

# %% [markdown]
# **Lie 4: bf16 works.** The interpreter keeps bf16 as 16-bit whole numbers and adds those. Use fp32 or fp16 on a CPU, and bf16 on a GPU only.


# %%
@triton.jit
def double_kernel(x_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, x + x)


for dtype in (torch.float16, torch.bfloat16) if device == "cpu" else ():
    x = torch.tensor([1.0, 2.0], dtype=dtype)
    out = torch.empty_like(x)
    double_kernel[(1,)](x, out, BLOCK=2)
    print(f"{dtype}: twice {x.tolist()} is {[float(f'{v:.2g}') for v in out.tolist()]}")

# %% [markdown]
# **Lie 5: `and` joins masks.** Python's `and` asks whether its left side is true and returns one of the two. The interpreter can do no better, and one condition is gone. (The GPU's compiler joins them, with a warning: here the CPU is wrong.)
# Between tensors write `&`, with parentheses.


# %%
@triton.jit
def and_kernel(out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, 1.0, mask=(at > 1) and (at < n))


if device == "cpu":
    out = torch.zeros(8)
    and_kernel[(1,)](out, 5, BLOCK=8)
    print("meant: elements 2, 3, 4;  written:", out.nonzero().flatten().tolist())

# %% [markdown]
# **Lie 6: it compiles, and its time means something.** `tl.dot` on a GPU needs an inner axis of at least 16; the interpreter multiplies 4 x 4. And the interpreter's time counts calls of `tl`, not work:


# %%
def seconds(block, n=2**14):
    x = torch.ones(n)
    start = time.perf_counter()
    add(x, x, block=block)
    return time.perf_counter() - start


if device == "cpu":
    small, large = seconds(64), seconds(4096)
    print(
        "the same 16,384 sums in 4 programs instead of 256: more than 5 times as fast",
        small > 5 * large,
    )

# %% [markdown]
# On a GPU, 4 programs would leave most of the chip idle. So in the interpreter choose large tiles to save *your* time, and believe nothing about speed.

# %% [markdown]
# ## Quiz

# %%
quiz("07")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - A program knows its number; from it come its offsets, and a mask turns off what is not there.
# - `other=` is part of the algorithm. Every output element has one owner.
# - A tile of the output, a walk over the inner axis, `tl.dot` and `acc`: every kernel from here on has that shape.
# - Right numbers on a CPU leave open: bounds, undefined lanes, races, bf16, sizes that compile, speed.
#
# **Now do:** `simplex-lab start 07` copies [exercise 07](../exercises/07_triton_in_an_hour.ipynb) to your `work/` folder.
#
# **Further reading:** Tillet, Kung and Cox 2019, *Triton: an intermediate language and compiler for tiled neural network computations* (MAPL);
# the tutorials at [triton-lang.org](https://triton-lang.org); Rush's *Triton-Puzzles*, whose pictures are the model of those above.

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
