"""Speed and memory of the kernels on a GPU, beside a matrix product, cuDNN's attention and the best PyTorch versions of the operation.

Nothing is timed before it is right: each configuration of heads and windows is first held to fp64, on a sequence that is longer than both
windows together and with a softmax that is not flat. Rates count matrix products only: ``4 D`` FLOPs for each visible triple, head and
batch entry forward, ``12 D`` backward; recomputing does not count.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from statistics import median

import torch
from torch import Tensor

from simplex_lab import baselines, records, reference
from simplex_lab.windows import count_triples

MATMUL = 8192
DTYPE = torch.bfloat16
SECONDS = 1.0  # of repetitions for each figure
CHECKED = 128  # positions behind both windows of the sequence on which a configuration is checked
PEAKED = 4.0  # gain of the queries for the check: the largest of some ten thousand weights is then of the order of 0.1
MODEL_ARMS = ("kernels", "unfolded", "blocked", "flex")


@dataclass(frozen=True)
class Shape:
    B: int = 4
    S: int = 8192
    H: int = 128
    Hkv: int = 1
    D: int = 128
    w1: int = 32
    w2: int = 512
    gain: float = 1.0  # of the queries: 1 is what a norm gives

    @property
    def triples(self) -> int:
        return self.B * self.H * count_triples(self.S, self.w1, self.w2)

    def flops(self, per_channel: int) -> int:
        return per_channel * self.D * self.triples

    def draw(self) -> list[Tensor]:
        """``q, k1, k2, v1, v2`` that ask for gradients, and a gradient for the output: normal."""
        gen = torch.Generator("cuda").manual_seed(0)
        heads = (self.H, *(self.Hkv,) * 4, self.H)
        x = [torch.randn(self.B, self.S, h, self.D, device="cuda", dtype=DTYPE, generator=gen) for h in heads]
        x[0] *= self.gain
        return [*(t.requires_grad_() for t in x[:5]), x[5]]


HEADLINE = [Shape(S=S, w2=w2) for w2 in (256, 512, 1024) for S in (1024, 2048, 4096, 8192, 16384)]
HEADLINE += [Shape(H=64), Shape(H=64, w1=512, w2=32)]
# what large logits cost: for normal vectors the pivot is certified up to a gain of some 3.1 and not tried beyond
HEADLINE += [Shape(gain=gain) for gain in (3.0, 3.8, 5.5, 30.0)]
PAIRS = ((16, 256), (16, 512), (32, 256), (32, 512), (64, 512), (128, 128), (256, 64), (512, 32))
WINDOWS = [Shape(S=4096, w1=w1, w2=w2) for w1, w2 in PAIRS]
SMALL = [Shape(H=8, Hkv=Hkv, D=64, w1=w1, w2=w2) for Hkv in (8, 2) for w1, w2 in ((32, 32), (64, 16))]
MODEL = [replace(shape, S=S) for shape in SMALL for S in (1024, 2048, 4096, 8192)]
NAIVE = [Shape(B=1, S=512, H=8, Hkv=Hkv, D=64, w1=32, w2=32) for Hkv in (8, 2)]
ATOMICS = [Shape(S=2048), Shape(S=2048, w2=256)]
LADDER = [Shape(B=1, S=1024)]  # the longest on which PyTorch's weights fit
QUESTIONS = {"headline": HEADLINE, "windows": WINDOWS, "model": MODEL, "naive": NAIVE, "atomics": ATOMICS, "ladder": LADDER}
# the fastest of twelve on an H100: 16, 32 or 64 heads, 32 or 64 second keys, 4 or 8 warps
ONE_PASS = {"heads": 32, "block": 32, "warps": 4}
# the rungs of the ladder, forward only; of a kernel the fastest of these sizes is taken
RUNGS = ("unfolded, eager", "unfolded", "j outside", "k outside", "kernels")
SIZES = [{"block": block, "warps": warps, "stages": stages} for block in (64, 128) for warps in (4, 8) for stages in (1, 2, 3)]


def run(question: str, out: str | None = None, say: Callable[[str], None] = print) -> str:
    """Answer one of ``QUESTIONS`` and append the rows to ``results/kernel_bench.csv`` (or ``out``).

    Raises:
        RuntimeError: there is no CUDA device, Triton's interpreter is on, or a configuration is wrong.
    """
    if question not in QUESTIONS:
        raise ValueError(f"question={question!r}: choose one of {sorted(QUESTIONS)}")
    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device: speed is measured on a GPU or not at all")
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise RuntimeError("TRITON_INTERPRET=1: the interpreter's times say nothing about a kernel's; unset it")
    path = out or records.RESULTS / "kernel_bench.csv"
    source = records.provenance(f"simplex-lab bench --question {question}")
    for about, metrics in measurements(question, say):
        rows = [records.row("kernel_bench", about, 0, name, *figure[:2], source, *figure[2:]) for name, figure in metrics.items()]
        records.append(path, rows)
    return str(path)


def measurements(question: str, say) -> Iterator[tuple[dict, dict]]:
    """``(config, {metric: (value, unit, p20, p80)})`` for every shape and arm of a question."""
    if question == "headline":
        yield from _cudnn(say)
    checked: dict = {}
    for shape in QUESTIONS[question]:
        for arm in _arms(question, shape):
            longer = shape.w1 + shape.w2 + CHECKED
            configuration = (arm, replace(shape, S=longer, B=1, gain=max(shape.gain, PEAKED)))
            if configuration not in checked:
                checked[configuration] = errors(*configuration, forward=question == "ladder")
                say(f"right: {arm} {_name(configuration[1])}, errors over eager bf16's: {_listed(checked[configuration])}")
            metrics = (
                rung(arm, shape) if question == "ladder" else measure(arm, shape) | (repeated(arm, shape) if question == "atomics" else {})
            )
            say(f"{arm:9s} {_name(shape)}: " + ", ".join(f"{name} {value:.4g} {unit}" for name, (value, unit, *_) in metrics.items()))
            yield {"arm": arm, "question": question, "dtype": "bf16"} | asdict(shape), metrics


def operation(arm: str, shape: Shape) -> Callable[..., Tensor]:
    """``(q, k1, k2, v1, v2) -> o`` of an arm, compiled for this shape alone: after too many shapes dynamo would go on without compiling."""
    if arm == "kernels":
        from simplex_kernels import two_simplicial_attention

        return functools.partial(two_simplicial_attention, w1=shape.w1, w2=shape.w2)
    if arm == "atomics":
        from simplex_lab.one_pass import one_pass

        return functools.partial(one_pass, w1=shape.w1, w2=shape.w2, **ONE_PASS)
    if arm.endswith("outside"):
        from simplex_lab.ladder import ladder

        return functools.partial(ladder, w1=shape.w1, w2=shape.w2, outer=arm[0])
    if arm == "unfolded, eager":
        return functools.partial(baselines.unfolded, w1=shape.w1, w2=shape.w2)
    if arm == "naive":
        return lambda *x: reference.two_simplicial(*x, w1=shape.w1, w2=shape.w2).o
    torch.compiler.reset()
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    function = functools.partial(getattr(baselines, arm), w1=shape.w1, w2=shape.w2)
    return function if arm == "flex" else torch.compile(function, dynamic=False)


def errors(arm: str, shape: Shape, *, forward: bool = False) -> dict[str, float]:
    """Error of output and gradients against fp64, in units of what is allowed: twice eager bf16's plus 1e-3 of the reference's rms.

    The error is that of the worst position, as the root mean square over its entries. ``forward`` looks at the output alone.

    Raises:
        RuntimeError: some error is larger than allowed.
    """
    x = shape.draw()
    f = operation(arm, shape)
    if forward:
        with torch.no_grad():
            got = [f(*x[:5])]
    else:
        got = _results(f, x)
    expected, eager = (_by_heads(x, shape, dtype) for dtype in (torch.float64, DTYPE))
    found = {}
    for name, g, e, low in zip(("o", "dq", "dk1", "dk2", "dv1", "dv2"), got, expected, eager, strict=False):
        allowed = 2 * _worst_position(low.double() - e) + 1e-3 * e.square().mean().sqrt()
        found[name] = (_worst_position(g.double() - e) / allowed).item()
    if not all(error <= 1 for error in found.values()):
        raise RuntimeError(f"{arm} {_name(shape)} is wrong, so it is not timed: errors over what is allowed {_listed(found)}")
    return found


def measure(arm: str, shape: Shape) -> dict[str, tuple]:
    """Times (median, p20, p80), peak memory beyond the inputs; for the kernels also rates, beside a matrix product timed in turn."""
    x = shape.draw()
    f, do = operation(arm, shape), x[5]

    def forward():
        with torch.no_grad():
            f(*x[:5])

    def both():
        torch.autograd.grad(f(*x[:5]), x[:5], do)

    both()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    both()
    metrics = {"peak memory": ((torch.cuda.max_memory_allocated() - before) / 2**20, "MiB")}
    if arm not in ("kernels", "atomics"):
        metrics["forward"], metrics["forward+backward"] = _figure(times(forward)[0]), _figure(times(both)[0])
        metrics["enqueue forward+backward"] = _figure(enqueue_times(both))
        return metrics
    o = f(*x[:5])
    a = torch.randn(MATMUL, MATMUL, device="cuda", dtype=DTYPE)
    b = torch.randn_like(a)
    matmul, *own = times(lambda: a @ b, forward, lambda: torch.autograd.grad(o, x[:5], do, retain_graph=True), both)
    rate = 2 * MATMUL**3 / median(matmul) / 1e9
    metrics |= {"matmul rate": (rate, "TFLOP/s")}
    for name, t, flops in zip(("forward", "backward"), own, (4, 12), strict=False):
        metrics[name] = _figure(t)
        metrics[f"{name} rate"] = (shape.flops(flops) / median(t) / 1e9, "TFLOP/s")
        metrics[f"{name} over matmul"] = (shape.flops(flops) / median(t) / 1e9 / rate, "1")
    metrics["forward+backward"] = _figure(own[2])
    metrics["enqueue forward+backward"] = _figure(enqueue_times(both))
    return metrics


def rung(arm: str, shape: Shape) -> dict[str, tuple]:
    """Forward alone, its rate, and its share of the rate of a matrix product timed in turn; the fastest size of a first kernel."""
    x = [t.detach() for t in shape.draw()[:5]]
    a = torch.randn(MATMUL, MATMUL, device="cuda", dtype=DTYPE)
    b = torch.randn_like(a)
    f = operation(arm, shape)
    best = min(SIZES, key=lambda size: median(times(lambda: f(*x, **size))[0])) if arm.endswith("outside") else {}
    with torch.no_grad():
        matmul, own = times(lambda: a @ b, lambda: f(*x, **best))
    rate = shape.flops(4) / median(own) / 1e9
    product = 2 * MATMUL**3 / median(matmul) / 1e9
    sizes = {f"size: {name}": (value, "1") for name, value in best.items()}
    figures = {"forward": _figure(own), "forward rate": (rate, "TFLOP/s"), "forward over matmul": (rate / product, "1")}
    return {"matmul rate": (product, "TFLOP/s")} | figures | sizes


def repeated(arm: str, shape: Shape) -> dict[str, tuple]:
    """Share of the numbers in the keys' gradients whose bits differ when the same backward runs twice."""
    x = shape.draw()
    one, two = (torch.autograd.grad(operation(arm, shape)(*x[:5]), x[1:5], x[5]) for _ in range(2))
    differ = sum(int((a != b).sum()) for a, b in zip(one, two, strict=True)) / sum(a.numel() for a in one)
    return {"gradients that differ between two runs": (differ, "1")}


def times(*functions: Callable[[], object]) -> list[list[float]]:
    """Milliseconds that the device spends on each function, taken in turn, after a warm-up and with a cold L2 cache.

    The device is kept busy while the function is enqueued, so that it need not wait between its kernels, as in a training step; what
    enqueueing takes is :func:`enqueue_times`. It is kept busy with products of random numbers: after products of an
    uninitialised tensor, which takes little power, one H200 multiplied at 796 TFLOP/s, after real work at 660 to 700.
    """
    cold = torch.empty(2**28, dtype=torch.int8, device="cuda")
    busy = torch.randn(MATMUL, MATMUL, device="cuda", dtype=DTYPE)
    taken: list[list[float]] = [[] for _ in functions]

    def once(function):
        for _ in range(3):
            torch.mm(busy, busy)
        cold.zero_()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end)

    longest = max(min(once(f), once(f)) for f in functions)
    for _ in range(min(50, max(10, round(1000 * SECONDS / (longest * len(functions)))))):
        for function, found in zip(functions, taken, strict=True):
            found.append(once(function))
    return taken


def enqueue_times(function: Callable[[], object]) -> list[float]:
    """Milliseconds that the host takes to hand the function's work to the device, which has nothing else to do."""
    taken = []
    for _ in range(20):
        torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        taken.append(1000 * (time.perf_counter() - start))
    torch.cuda.synchronize()
    return taken


def _arms(question: str, shape: Shape) -> tuple[str, ...]:
    if question in ("naive", "atomics"):
        return "kernels", question
    if question == "ladder":
        return RUNGS
    if question == "model":
        return MODEL_ARMS if shape.S == 4096 else ("kernels", "unfolded")  # the slower two only once: they take minutes to compile
    return ("kernels",)


def _cudnn(say) -> Iterator[tuple[dict, dict]]:
    """cuDNN's dense dot-product attention, the fastest that PyTorch ships for this chip: 4 D FLOPs a pair forward, 10 D backward."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    B, H, S, D = 4, 16, 8192, 128
    q, k, v, do = (torch.randn(B, H, S, D, device="cuda", dtype=DTYPE, requires_grad=True) for _ in range(4))
    a = torch.randn(MATMUL, MATMUL, device="cuda", dtype=DTYPE)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v)

        def forward():
            with torch.no_grad():
                torch.nn.functional.scaled_dot_product_attention(q, k, v)

        matmul, *own = times(lambda: a @ a, forward, lambda: torch.autograd.grad(o, (q, k, v), do, retain_graph=True))
    rate = 2 * MATMUL**3 / median(matmul) / 1e9
    metrics: dict = {"matmul rate": (rate, "TFLOP/s")}
    for name, t, flops in zip(("forward", "backward"), own, (4, 10), strict=True):
        achieved = flops * B * H * S * S * D / median(t) / 1e9
        metrics |= {name: _figure(t), f"{name} rate": (achieved, "TFLOP/s"), f"{name} over matmul": (achieved / rate, "1")}
    rates = (metrics["forward rate"][0], metrics["backward rate"][0], rate)
    say("cuDNN dense attention: forward {:.0f}, backward {:.0f}, matmul {:.0f} TFLOP/s".format(*rates))
    yield {"arm": "cudnn dense", "question": "headline", "dtype": "bf16", "B": B, "H": H, "Hkv": H, "S": S, "D": D}, metrics


def _results(f, x) -> list[Tensor]:
    leaves = [t.detach().requires_grad_() for t in x[:5]]
    o = f(*leaves)
    return [o.detach(), *torch.autograd.grad(o, leaves, x[5].to(o.dtype))]


def _by_heads(x: list[Tensor], shape: Shape, dtype: torch.dtype) -> list[Tensor]:
    """Output and gradients by plain PyTorch, a few heads at a time, so that the unfolded windows fit; sums over heads in fp64."""
    group = x[0].shape[2] // x[1].shape[2]
    step, outputs = math.gcd(8, group), []
    sums = [torch.zeros(t.shape, dtype=torch.float64, device=t.device) for t in x[:5]]
    for h in range(0, x[0].shape[2], step):
        parts = [slice(h, h + step), *[slice(h // group, h // group + 1)] * 4]
        leaves = [t[:, :, part].detach().to(dtype).requires_grad_() for t, part in zip(x, parts, strict=False)]
        o = baselines.unfolded(*leaves, w1=shape.w1, w2=shape.w2)
        for total, part, g in zip(sums, parts, torch.autograd.grad(o, leaves, x[5][:, :, parts[0]].to(dtype)), strict=True):
            total[:, :, part] += g
        outputs.append(o.detach())
    return [torch.cat(outputs, 2), *(total.to(dtype) for total in sums)]


def _worst_position(x: Tensor) -> Tensor:
    return x.square().mean((0, 2, 3)).sqrt().max()


def _figure(taken: list[float]) -> tuple:
    ordered = sorted(taken)
    p20, p80 = (ordered[round(q * (len(ordered) - 1))] for q in (0.2, 0.8))
    return median(ordered), "ms", f"{p20:.6g}", f"{p80:.6g}"


def _name(s: Shape) -> str:
    gain = "" if s.gain == 1 else f" gain={s.gain:g}"
    return f"B={s.B} S={s.S} H={s.H}/{s.Hkv} D={s.D} w={s.w1}x{s.w2}{gain}"


def _listed(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items())
