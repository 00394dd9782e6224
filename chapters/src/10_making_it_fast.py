# %% [markdown] tags=["slide"]
# # 10 Making it fast
#
# After this chapter you can
#
# - say by hand whether an operation waits for products or for memory, and how fast it can be at best,
# - read a ladder of kernels: what each rung should have gained, what it gained, and where the difference comes from,
# - read what the compiler made of a kernel,
# - read a published rate: which FLOPs, which chip, beside what.
#
# Nothing here is timed on your machine. All times are read from `results/`, where each row names its card and its command, or who published it.

# %%
from simplex_lab.interpreter import prepare

device = prepare()  # before triton is imported

import math

import torch
from simplex_kernels import configs, forward

from simplex_lab import bench_plots, plots, records, roofline, sass, windows
from simplex_lab.explorers import roofline_explorer
from simplex_lab.quiz import predict, quiz
from simplex_lab.show import show_figure, show_source

plots.style()
recorded = bench_plots.latest(records.read("kernel_bench.csv"))
chip = roofline.published_chip()

# %% [markdown] tags=["slide"]
# ## One picture
#
# A chip has two clocks that run at the same time: one for products, one for moving bytes. The black line is the highest rate that they allow, for an operation that does so many FLOPs for each byte it moves. Left of the corner it
# waits for memory, right of it for products. Put 2-simplicial attention on it, beside attention over 8,192 keys.

# %% tags=["more"]
roofline_explorer()

# %% [markdown] tags=["slide"]
# ## Two clocks by hand
#
# A small chip multiplies 8 pairs of numbers in a second and moves 2 numbers in a second. A job has 16 products and must move 8 numbers.

# %% tags=["more"]
clocks = predict(
    "16 products at 8 a second, 8 numbers at 2 a second. At least how long?", "2 s", "4 s", "6 s"
)

# %%
products, moving = 16 / 8, 8 / 2
print(f"products {products:.0f} s, moving {moving:.0f} s")
clocks.reveal(f"{max(products, moving):.0f} s")

# %% [markdown]
# The later clock decides, since both run at once. The job has 2 products for each number moved, and this chip would need 4 to be busy: that corner is the chip's *ridge*. FLOPs for each byte are the operation's *intensity*.
#
# The real chip, as its makers and FlashAttention-3's authors publish it:

# %%
for name, value, unit in (
    ("products in bf16", chip.products, "TFLOP/s"),
    ("memory", chip.memory, f"TB/s: the ridge is at {chip.ridge:.0f} FLOPs a byte"),
    ("adds and products", chip.adds, "TFLOP/s in fp32, outside the matrix units"),
    ("exponentials", chip.exps, "x 10^12 a second"),
):
    print(f"{name:18s} {value:6.4g} {unit}")

# %% [markdown]
# Record: `results/published.csv`, an H100 SXM. The last two lines will matter more than one would think.

# %% [markdown] tags=["slide"]
# ## Intensity by hand
#
# Take one key head with G query heads, deep in a long sequence. For each position:
#
# - **work**: 4 D FLOPs for each pair and head, so `4 D w1 w2 G`;
# - **bytes**, two a number: G rows of q and of o, and the position's own k1, k2, v1, v2, which are read once and then stay close: `2 D (2 G + 4)`.
#
# $$\frac{4 D\, w_1 w_2\, G}{2 D\,(2G + 4)} = w_1 w_2\,\frac{G}{G + 2}$$
#
# Every byte is used for nearly as many FLOPs as a query sees pairs. D cancels. (Dot-product attention has one key and one value, not two of each: `w G / (G + 1)`.)

# %% tags=["more"]
waits = predict(
    "Decoding: ONE new position, 16 heads on one key head, windows 32 x 512. It waits for",
    "memory, like every decode step",
    "products",
)

# %%
for name, w1, w2 in (("pairs, 8192 keys", 8192, None), ("triples, 32 x 512", 32, 512)):
    for step in ("training", "decode"):
        w = w1 // 2 if w2 is None and step == "training" else w1  # on average half of the past
        at = roofline.intensity(w, w2, group=16, decode=step == "decode")
        least = "products" if at > chip.ridge else "memory"
        print(f"{name:18s} {step:8s} {at:6.0f} FLOPs a byte: waits for {least}")
waits.reveal("products" if at > chip.ridge else "memory, like every decode step")

# %% [markdown]
# A decode step reads its whole windows for one position, `w1 + w2` rows. Dot-product attention uses each of them once a head. Here each second key meets every first key: 32 times the work on the same bytes.
#
# In training, memory is out of the question by a factor of nearly 50. If a kernel is slow there, it moves what it need not move, or its units wait for each other.

# %% [markdown] tags=["slide"]
# ## The ladder
#
# Five versions of the forward, on one shape: B = 1, S = 1024, 128 heads of 128 channels on one key head, windows 32 x 512. It is that short because the first version holds all weights. Full marks are recorded. Hollow ones are computed by hand: for PyTorch's versions
# from what they move, for kernels from what their units have to do.

# %% tags=["more"]
rungs = roofline.ladder(recorded, chip)
show_figure(
    bench_plots.ladder(recorded),
    "Forward time of five versions, and the gain of each over the one above, by hand and recorded: "
    + "; ".join(f"{r.name} {r.by_hand:.1f} and {r.taken:.1f} ms" for r in rungs),
    caption="Record: results/kernel_bench.csv, question ladder, NVIDIA H100 80GB HBM3.",
)

# %% [markdown]
# Each was first held to fp64 like everything that the benchmark times. Now rung by rung.

# %% [markdown] tags=["slide"]
# ## First rung: PyTorch, compiled
#
# Give every query its own copy of its windows, multiply, softmax, multiply. The weights of this shape are 2.1 thousand million numbers, 4.3 GB in bf16. Run one operation after the other, they are written and read again for each: product, conversion to fp32, scale, mask (a copy, then filled), softmax, conversion back, product. In
# all, 24 passes of 4.3 GB. `torch.compile` makes one kernel of all that stands between the products, and 4 passes are left.

# %% tags=["more"]
shape = {"B": 1, "S": 1024, "H": 128, "D": 128, "w1": 32, "w2": 512}
for r, compiled in zip(rungs, (False, True), strict=False):
    moved = roofline.unfolded_bytes(**shape, compiled=compiled) / 1e9
    least = moved / chip.memory
    print(f"{r.name:9s} {moved:5.1f} GB: at least {least:5.1f} ms, took {r.taken:5.1f}")
eager, fused = rungs[:2]
by_hand, found = eager.by_hand / fused.by_hand, eager.taken / fused.taken
print(f"gain: {by_hand:.1f} by hand, {found:.1f} recorded")

# %% [markdown]
# Less than predicted: the compiled version is 1.7 times above its bound, the other 1.3 times. Its softmax walks over a row of 32 KB twice, once for the sum and once for the weights. If the second walk comes from memory and not from a cache, 5 passes are left and 7.7 ms. The record cannot tell.

# %% [markdown] tags=["slide"]
# ## Second rung: a kernel
#
# Weights that never leave the chip cost no pass. What is left is work, on three kinds of units.
#
# (The chip has 132 *multiprocessors* with units and registers of their own. Each holds a few programs at once. A program's threads come in *warps* of 32; four warps form the group that a matrix instruction wants. *Stages* say how many tiles are fetched ahead.)
#
# For each pair and head:

# %% tags=["more"]
show_source(roofline.on_chip, docstring=True)

# %% tags=["slide"]
turn = predict(
    "For a first kernel: which unit needs the most time for a pair?",
    "products",
    "exponentials",
    "the rest",
)

# %%
rate = next(
    r["value"]
    for r in recorded
    if r["metric"] == "matmul rate" and r["config"]["arm"] == "j outside"
)
real = roofline.Chip(rate, chip.adds, chip.exps, chip.memory)  # a product as it was timed in turn
units = roofline.on_chip(real, D=128, block_k=64, online=True, masked=True)
for name, ps in units.items():
    print(f"{name:13s} {ps:.2f} ps   {ps / sum(units.values()):.0%} of all, if they take turns")
turn.reveal(max(units, key=units.get))

# %% [markdown]
# 512 FLOPs of products for each pair, and one exponential: it takes more than a third of the products' time, because there are so few units for it. (FlashAttention-3 was built around this.) If the units take turns, little more than half of a matrix product's rate is left to this kernel.
#
# By hand that makes 2.2 ms, and 3.3 were recorded. What does the kernel wait for?

# %% [markdown] tags=["slide"]
# ## Third rung: which loop outside
#
# With j outside, the tiles of second keys pass by again for each first key. With k outside, a tile stays, and the first keys pass by.

# %% tags=["more"]
for outer, block_k in (("j", 64), ("k", 128)):
    loaded = windows.key_rows_loaded(32, 512, block_k, outer=outer)
    print(f"{outer} outside: {loaded:6,d} rows of keys, as many of values, for a program")
rows = 2 * sum(min(i + 1, 32) * min(i + 1, 512) for i in range(1024))  # 64 of 128 heads each
moved = rows * 2 * 256 / 1e9  # GB: a key and a value, 256 bytes each
print(
    f"j outside moves {moved:.0f} GB in {rungs[2].taken:.1f} ms: {moved / rungs[2].taken:.1f} TB/s"
)

# %% [markdown]
# That is more than memory can give: the rows come from the L2 cache, which lies on the chip and is shared by all.
#
# By hand this rung gains next to nothing. (The fastest tile became larger, too, which saves work on the accumulator and wastes as much at the ends of windows.) It gained 1.3: waiting for rows is not in the count, and there is less of it now. But 26 times fewer rows did not make it 26 times as fast, nor even 2: most loads were hidden behind products already. **Removing
# what nobody waits for gains nothing.**

# %% [markdown] tags=["slide"]
# ## Fourth rung: the library
#
# It does the same walk, with three changes:
#
# - **rows of first keys are fetched a step ahead.** A program of four warps has nothing else to do while it waits,
# - **masks only where something is hidden.** Tiles in the middle of the windows need none,
# - **no running maximum.** The *pivot* takes its place.
#
# The count by hand knows the second and third: 1.1. The record says 1.3. Waiting is not in the count, so the first change may be the rest; the record has no row for it alone.

# %% [markdown] tags=["slide"]
# ## The pivot
#
# A softmax may subtract any number from a row's logits, as long as nothing overflows and the sum does not vanish. The maximum is known only at the end. A bound is known in advance. By Cauchy and Schwarz,
#
# $$|s_{ijk}| = scale\,\Big|\sum_d q_{id} k1_{jd}\, k2_{kd}\Big| \le scale\, \lVert q_i * k1_j \rVert\, \lVert k2_k \rVert$$
#
# and its largest value over the windows takes one small product. With it, nothing is rescaled, and steps do not depend on each other.

# %% tags=["more"]
vanish = predict(
    "The bound is 100 too high (base 2). All weights are 2^100 times too small. The output is",
    "too small by 2^100",
    "right: l is too small by the same factor",
    "NaN",
)

# %%
logits, values = torch.tensor([3.0, 5.0, 4.0]), torch.tensor([1.0, 2.0, 4.0])
for pivot in (5.0, 105.0, 205.0):
    p = torch.exp2(logits - pivot)
    print(f"subtracted {pivot:3.0f}: l = {p.sum():.3g}, output {(p * values).sum() / p.sum():.4f}")
vanish.reveal("right: l is too small by the same factor")

# %% [markdown]
# At 200 too high, fp32 has no such numbers left, and 0 / 0 is NaN. Between the two lies a region where small weights are lost and large ones are not, and the output is quietly wrong. So the library looks at *l* afterwards: fp32 has no normal numbers below 2^-126. If l is 2^-80 or more, a lost weight is below 2^-46 of it, and a million of them together below 2^-26: the row is *certified*.
# If not, its program starts again with a running maximum. When the bound exceeds 100, it does so at once.

# %% [markdown]
# How high are bounds for queries and keys as a norm gives them, and for larger queries? 64 heads, windows 32 x 512, computed here; the times beside them are recorded, at S = 8192.

# %%
gen = torch.Generator().manual_seed(0)
q, k1, k2 = (torch.randn(n, 128, generator=gen, dtype=torch.float64) for n in (64, 32, 512))
shape = {"H": 128, "S": 8192, "w1": 32, "w2": 512}
took = bench_plots.values(recorded, "forward", "gain", arm="kernels", question="headline", **shape)
for gain in (1.0, 3.0, 3.8, 5.5, 30.0):
    a = gain * q[:, None] * k1 * 128**-0.5 * math.log2(math.e)
    bound = (a.norm(dim=-1).amax(1) * k2.norm(dim=-1).max())[:, None] * forward.SLACK.value
    l = torch.exp2((a @ k2.T).flatten(1) - bound).sum(1).min().log2()
    tried = "certified" if l >= -80 else "fails"
    tried = tried if bound.max() <= forward.PIVOT_TRY.value else "not tried"
    at = f"bound {bound.max():4.0f}, smallest l 2^{l:.0f}"
    ms = f"{took[gain]:.1f} ms" if gain in took else "not recorded yet"
    print(f"queries times {gain:4.1f}: {at}: {tried}; {ms}")

# %% [markdown]
# Where it is not tried, the forward takes about a tenth longer: that is what the pivot is worth. By hand it is 9%, two instructions a logit and one for each entry of the accumulator.
# Why 100? For a long time the limit was 130. Then queries times 3.2 to 4 were tried and failed, and a program that fails does its work twice: 58 ms where the running maximum takes 33 (S = 4096, an H200). A certificate that nobody had timed in the case where it fails.

# %% [markdown] tags=["slide"]
# ## Which sizes, and why
#
# For the second and third rung the benchmark tried twelve sizes each and took the fastest; the library has a table with reasons. Who would search on every machine again, makes each learner wait.

# %% tags=["more"]
for arm in ("j outside", "k outside"):
    mine = {r["metric"]: r["value"] for r in recorded if r["config"]["arm"] == arm}
    print(arm, {n.removeprefix("size: "): int(v) for n, v in mine.items() if n.startswith("size")})
show_source(configs.forward)

# %% [markdown]
# Count registers by hand. A program of 64 rows has 128 threads. Its logits, 64 x 128 in fp32, are 64 registers a thread; the accumulator another 64; the second product, before it meets `v1_j`, another 64; q in bf16 32. That is 224 of the 255 that a thread may have, and two such programs fill a multiprocessor's 65,536. With twice the rows and threads there is room for one, and
# nothing runs while it waits. A tile of 128 second keys instead of 64 halves what is done once for each j: `q * k1_j`, and the accumulator's update.

# %% [markdown] tags=["slide"]
# ## Rows that fill a tile
#
# A matrix unit wants 16 rows at least, 64 to be at its best. 128 heads on one key head fill it. With 8 heads, half of 16 rows would be empty, so neighbouring positions share a tile. Its price is what chapter 05 counted: the tile walks over what *some* row sees.

# %% tags=["more"]
for positions in (1, 2, 8):
    share = windows.executed_share(positions, 32, 512, block_k=64)
    print(
        f"{8 * positions:3d} rows, {positions} positions: {share:.2f} pairs executed for each seen"
    )

# %% [markdown]
# More pairs for eight times the rows: cheap at 32 x 512, since 16 rows would leave most of a matrix unit idle. With small windows it is not; for few heads of few channels the library has another kernel there. You write the version with two positions in exercise 10.3.

# %% [markdown] tags=["slide"]
# ## Reading what the compiler made
#
# Does the count of registers hold? Ask the compiler: it needs no GPU. It prints a line on resources and the instructions themselves, called SASS. Here are those of the library's forward at the headline's sizes, for a Hopper chip; of its loops the innermost one: one first key, 128 second keys, 64 rows.

# %% tags=["slide"]
usage, listing = sass.recorded("forward_kernel")
(step,) = sass.loops(sass.parse(listing))
print(usage.split(" CONSTANT")[0])
for name in ("HGMMA", "MUFU"):
    print("   ", next(x.text for x in step if x.name == name))
counts = sass.mix(step)
print(f"{len(step)} instructions:", ", ".join(f"{n} {unit}" for unit, n in counts.items()))

# %% [markdown]
# 255 registers, none to spare; STACK says that 232 bytes did not fit and were spilled to memory. Is that bad? Not here: none of them is reloaded in the loop. All threads run this listing, 128 for 64 rows.
#
# By hand, in clocks: an HGMMA of 64 x 128 x 16 is 262,144 FLOPs for four warps together, and a multiprocessor does 4,096 a clock (the data sheet's 989 TFLOP/s, by 132 of them at 1.83 GHz). A MUFU is an exponential for 32 threads; each of four schedulers gets 4 a clock. All others are issued one a clock (CUDA C++ Programming Guide, arithmetic throughput).

# %% tags=["more"]
busy = predict(
    "If a program's products, exponentials and all else took turns, for which share of its time would the tensor cores work?",
    "about a third",
    "about half",
    "about nine tenths",
)

# %%
multiplying = counts["products"] * 64 * 128 * 16 * 2 / 4096
exponentials = counts["special functions"] * 32 / 4
others = len(step) - counts["products"] - counts["special functions"]
alone = multiplying / (multiplying + exponentials + others)
print(
    f"clocks: {multiplying:.0f} products, {exponentials:.0f} exponentials, {others} for all others"
)
print(f"in turn, the tensor cores work for {alone:.0%} of the time")
busy.reveal(busy.options[0 if alone < 0.4 else 1 if alone < 0.7 else 2])

# %% [markdown]
# So two programs on a multiprocessor could keep the tensor cores busy, if one always multiplied while the other did the rest. Nobody tells them to. In exercise 10.4 you write the reader.

# %% [markdown] tags=["slide"]
# ## Beside others
#
# Rates by the count of matrix products, 4 D a triple. Filled bars were timed here, on an H200; hollow ones by their authors.

# %% tags=["more"]
neighbours = [r for r in records.read("published.csv") if r["name"] == "peak rate"]
show_figure(
    bench_plots.neighbours(recorded, neighbours),
    "Forward rates as bars, in TFLOP/s: "
    + ", ".join(f"{r['config']['kernel']} {r['value']:.0f}" for r in neighbours)
    + ", this library about 550, cuDNN on pairs about 600; dashed lines at a matrix product's rate and the data sheet's.",
    caption="Records: results/kernel_bench.csv, question headline; results/published.csv, from arXiv:2507.02754 and PyTorch's blog on TLX.",
)

# %%
for question in ("headline", "ladder"):
    found = bench_plots.values(
        recorded, "matmul rate", lambda c: str(c), question=question
    ).values()
    print(
        f"a matrix product in the run of {question:8s} {min(found):.0f} to {max(found):.0f} TFLOP/s"
    )

# %% [markdown]
# What to ask before you compare:
#
# - **Which FLOPs?** The blog counts what matrix units do, as here. The paper's 520 does not say; by the formula, 6 D a triple, our rates would be half as high again.
# - **Which chip, at which power?** The same matrix product runs at different rates within one run, as printed above. Shares of it travel better than rates.
# - **Which shape?** Published peaks are the best of several; the first positions of a short sequence see small windows and fill few tiles.
# - **Is it right?** A rate without a check of its results is a rate of something else.

# %% [markdown]
# So: 1.6 times the paper's kernel as others timed it, 0.9 of a rewrite in a language beneath Triton, and 0.9 of cuDNN, which has pairs to do. The hollow bars come from other machines, and none of them is a backward.

# %% [markdown] tags=["slide"]
# ## What is left
#
# The forward at S = 8192, on the H200 of the last picture, and the same by hand:

# %% tags=["more"]
rates = bench_plots.values(
    recorded, "matmul rate", "gain", arm="kernels", question="headline", **shape
)
real = roofline.Chip(rates[1.0], chip.adds, chip.exps, chip.memory)
units = roofline.on_chip(real, D=128, block_k=128, online=False, masked=False)
pairs = 4 * 128 * roofline.executed_triples(8192, 32, 512, block_k=128)  # B = 4, 128 heads
products, turns = (ps * pairs / 1e9 for ps in (units["products"], sum(units.values())))
print(f"products alone {products:.0f} ms; all in turn {turns:.0f} ms; recorded {took[1.0]:.0f} ms")

# %% [markdown]
# Recorded lies below "all in turn": two programs on a multiprocessor do overlap. (On the ladder, where half of the positions stand at the edge, the same kernel lies at it.) What stands between this and the products' time is to let one half of a program multiply while the other exponentiates, all the time. Triton decides that order by itself. A language beneath it lets you say who does what.
#
# On a GPU, `make bench` times all this again, and `simplex-lab bench --plots` draws the pictures from what it found.

# %% [markdown]
# ## Quiz

# %%
quiz("10")

# %% [markdown] tags=["slide"]
# ## Take with you
#
# - Two clocks: work over rate, bytes over bandwidth. The later one is a bound that no kernel beats.
# - 2-simplicial attention does about `w1 w2` FLOPs for each byte: in training it need not wait for memory.
# - Inside a kernel, products, exponentials and the rest want to run at once. Most of a rate is lost where they take turns.
# - Registers, reloads and instructions can be read without a GPU.
# - Predict, measure, explain the difference.
#
# **Now do:** `simplex-lab start 10` copies [exercise 10](../exercises/10_making_it_fast.ipynb) to your `work/` folder.
#
# **Further reading:** Williams, Waterman and Patterson 2009, *Roofline*, [doi:10.1145/1498765.1498785](https://doi.org/10.1145/1498765.1498785); Shah et al. 2024, *FlashAttention-3*,
# [arXiv:2407.08608](https://arxiv.org/abs/2407.08608); PyTorch blog, [*Fast 2-Simplicial Attention*](https://pytorch.org/blog/fast-2-simplicial-attention-hardware-efficient-kernels-in-tlx).

# %% [markdown]
# [Notation and terms](GLOSSARY.md) · [all formulas on one page](formula_sheet.pdf)
