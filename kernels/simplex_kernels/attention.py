"""2-simplicial attention as one PyTorch operation: checked inputs, gradients, ``torch.compile``, ``torch.vmap``.

    o = two_simplicial_attention(q, k1, k2, v1, v2, w1=32, w2=512)

Registered with ``torch.library`` as ``simplex_kernels::attention``, ``attention_backward`` and ``decode``.
"""

import torch
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from simplex_kernels import configs, forward, forward_window, hopper
from simplex_kernels.backward import backward
from simplex_kernels.problem import Problem, document_bounds, rows_ready

D_MIN, D_MAX = 16, 128
LOGITS = ("trilinear", "determinant")
NAMES = ("q", "k1", "k2", "v1", "v2")
INTERPRETED = isinstance(forward.forward_kernel, InterpretedFunction)


def two_simplicial_attention(
    q: Tensor,
    k1: Tensor,
    k2: Tensor,
    v1: Tensor,
    v2: Tensor,
    *,
    w1: int | None,
    w2: int | None,
    scale: float | None = None,
    logits: str = "trilinear",
    k2_bias: float = 0.0,
    v2_bias: float = 0.0,
    documents: Tensor | None = None,
    return_lse2: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """2-simplicial attention over windows of the past (arXiv:2507.02754, eqs 5 to 7), differentiable in all five inputs.

    ``A_ijk = scale * sum_d q_id k1_jd (k2_kd + k2_bias)``, softmax jointly over the pairs ``i - w1 < j <= i``, ``i - w2 < k <= i``, and
    ``o_id = sum_jk P_ijk v1_jd (v2_kd + v2_bias)``.

    Args:
        q: ``[B, S, H, D]``, fp32, fp16 or bf16, ``16 <= D <= 128``.
        k1, k2, v1, v2: ``[B, S, Hkv, D]`` of the same dtype; ``Hkv`` divides ``H``, and query head ``h`` uses key head ``h // (H // Hkv)``.
        w1, w2: windows in positions, the query's own included; ``None`` is the whole past.
        scale: factor of the logits in base e; default ``D**-0.5``, for determinant logits ``(6 p + r)**-0.5`` with ``D = 3 p + r``.
        logits: ``"trilinear"``, or ``"determinant"`` for eq. 9: ``sum_l det[q_i, k1_j, k2_k]`` over chunks of three channels; the last
            ``r`` channels enter by their plain product.
        k2_bias, v2_bias: numbers added to every entry of ``k2`` and ``v2`` ("KV2 norm" of the paper's listing).
        documents: ``[B, S]`` integers; a run of equal numbers is a document, and no query sees beyond its own.
        return_lse2: also return ``lse2 [B, H, S]``, the base-2 logarithm of the softmax denominator (fp32), which is differentiable too.

    Returns:
        ``o [B, S, H, D]``, or ``(o, lse2)``.

    Raises:
        ValueError: an argument that does not fit, named with both values; tensors on the CPU unless Triton's interpreter was switched on.
    """
    tensors = _autocast(q, k1, k2, v1, v2)
    _check(*tensors)
    biases = _check_bias("k2_bias", k2_bias), _check_bias("v2_bias", v2_bias)
    S = q.shape[1]
    if k1.shape[1] != S:
        raise ValueError(f"k1 has sequence size {k1.shape[1]}, q has {S}")
    w1, w2 = _check_window("w1", w1, S), _check_window("w2", w2, S)
    if documents is not None:
        _check_index("documents", documents, tuple(q.shape[:2]), q)
    scale = _scale(q.shape[3], scale, logits)
    o, lse2 = attention(*tensors, documents, w1, w2, scale, logits == "determinant", *biases)
    return (o, lse2) if return_lse2 else o


def two_simplicial_decode(
    q: Tensor,
    k1: Tensor,
    k2: Tensor,
    v1: Tensor,
    v2: Tensor,
    *,
    w1: int | None,
    w2: int | None,
    lengths: Tensor | None = None,
    scale: float | None = None,
    logits: str = "trilinear",
    k2_bias: float = 0.0,
    v2_bias: float = 0.0,
) -> Tensor:
    """The last ``Sq`` positions of :func:`two_simplicial_attention` against a cache of keys and values; forward only.

    Args:
        q: ``[B, Sq, H, D]``, the newest positions; their keys and values are in the cache already.
        k1, k2, v1, v2: caches ``[B, Skv, Hkv, D]`` with ``Skv >= Sq``.
        lengths: ``[B]`` integers, the entries of each cache that are filled; default all ``Skv``. The rest is not read. A number outside
            ``Sq .. Skv`` is cut to it: looking at it before the launch would make the host wait for the GPU.
        w1, w2, scale, logits, k2_bias, v2_bias: as in :func:`two_simplicial_attention`.

    Returns:
        ``o [B, Sq, H, D]``. Query ``s`` stands at position ``s + length - Sq``.

    Raises:
        ValueError: as :func:`two_simplicial_attention`.
    """
    tensors = _autocast(q, k1, k2, v1, v2)
    _check(*tensors)
    biases = _check_bias("k2_bias", k2_bias), _check_bias("v2_bias", v2_bias)
    B, Sq, Skv = q.shape[0], q.shape[1], k1.shape[1]
    if Skv < Sq:
        raise ValueError(f"k1 has {Skv} cached positions, q has {Sq}: the cache must hold the queries' own")
    w1, w2 = _check_window("w1", w1, Skv), _check_window("w2", w2, Skv)
    if lengths is not None:
        _check_index("lengths", lengths, (B,), q)
    scale = _scale(q.shape[3], scale, logits)
    return decode(*tensors, lengths, w1, w2, scale, logits == "determinant", *biases)


@torch.library.custom_op("simplex_kernels::attention", mutates_args=())
def attention(
    q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, documents: Tensor | None,
    w1: int, w2: int, scale: float, determinant: bool, k2_bias: float, v2_bias: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    with torch.cuda.device_of(q):
        p = _problem((q, k1, k2, v1, v2), documents, w1, w2, scale, determinant, k2_bias, v2_bias)
        if configs.window(p):
            o, lse2 = forward_window.launch(p.with_biases_added(), configs.forward_window(p))
        elif hopper.chosen(p):
            from simplex_kernels.hopper import forward as forward_hopper  # Gluon, which not every Triton has

            o, lse2 = forward_hopper.launch(p)
        else:
            o, lse2 = forward.launch(p, configs.forward(p))
    return o, lse2.transpose(1, 2)


@attention.register_vmap
def _(info, in_dims, *args):
    """The mapped axis joins the batch: one launch serves all."""
    whole = []
    for x, at in zip(args, in_dims, strict=True):
        if isinstance(x, Tensor):
            x = (x.expand(info.batch_size, *x.shape) if at is None else x.movedim(at, 0)).flatten(0, 1)
        whole.append(x)
    return tuple(x.unflatten(0, (info.batch_size, -1)) for x in attention(*whole)), (0, 0)


@attention.register_fake
def _(q, k1, k2, v1, v2, documents, w1, w2, scale, determinant, k2_bias, v2_bias):
    B, S, H, _ = q.shape
    lse2 = q.new_empty(B, S, H, dtype=torch.promote_types(q.dtype, torch.float32))
    return q.new_empty(q.shape), lse2.transpose(1, 2)


@torch.library.custom_op("simplex_kernels::attention_backward", mutates_args=())
def attention_backward(
    q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, documents: Tensor | None,
    o: Tensor, lse2: Tensor, do: Tensor, dlse2: Tensor | None,
    w1: int, w2: int, scale: float, determinant: bool, k2_bias: float, v2_bias: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    with torch.cuda.device_of(q):
        p = _problem((q, k1, k2, v1, v2), documents, w1, w2, scale, determinant, k2_bias, v2_bias)
        rows = [None if x is None else x.transpose(1, 2).contiguous() for x in (lse2, dlse2)]  # [B, S, H]
        dq, dk1, dk2, dv1, dv2 = backward(p, o.contiguous(), rows[0], rows_ready(do), rows[1])
    return (dq, dk2, dk1, dv2, dv1) if w1 > w2 else (dq, dk1, dk2, dv1, dv2)


@attention_backward.register_fake
def _(q, k1, k2, v1, v2, documents, o, lse2, do, dlse2, w1, w2, scale, determinant, k2_bias, v2_bias):
    return tuple(x.new_empty(x.shape) for x in (q, k1, k2, v1, v2))


@torch.library.custom_op("simplex_kernels::decode", mutates_args=())
def decode(
    q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, lengths: Tensor | None,
    w1: int, w2: int, scale: float, determinant: bool, k2_bias: float, v2_bias: float,
) -> Tensor:  # fmt: skip
    with torch.cuda.device_of(q):
        lengths = None if lengths is None else lengths.int().contiguous()
        p = _problem((q, k1, k2, v1, v2), None, w1, w2, scale, determinant, k2_bias, v2_bias, lengths)
        return forward.launch(p, configs.forward(p))[0]


@decode.register_fake
def _(q, k1, k2, v1, v2, lengths, w1, w2, scale, determinant, k2_bias, v2_bias):
    return q.new_empty(q.shape)


def _setup_context(ctx, inputs, output):
    q, k1, k2, v1, v2, documents, *options = inputs
    ctx.save_for_backward(q, k1, k2, v1, v2, documents, *output)
    ctx.options = options
    ctx.set_materialize_grads(False)


def _backward(ctx, do, dlse2):
    q, k1, k2, v1, v2, documents, o, lse2 = ctx.saved_tensors
    do = torch.zeros_like(o) if do is None else do
    gradients = attention_backward(q, k1, k2, v1, v2, documents, o, lse2, do, dlse2, *ctx.options)
    return *gradients, None, *(None for _ in ctx.options)


attention.register_autograd(_backward, setup_context=_setup_context)


def _problem(tensors, documents, w1, w2, scale, determinant, k2_bias, v2_bias, lengths=None) -> Problem:
    starts, ends = document_bounds(documents)
    rows = (rows_ready(x) for x in tensors)
    biases = {"k2_bias": k2_bias, "v2_bias": v2_bias}
    p = Problem(*rows, w1, w2, scale, int(determinant), **biases, starts=starts, ends=ends, lengths=lengths)
    return p.oriented()


def _autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Under autocast the inputs take its dtype, as those of other attention operations do; fp64 and integers stay what they are."""
    device = tensors[0].device.type
    if device not in ("cuda", "cpu") or not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(x.to(dtype) if x.is_floating_point() and x.dtype != torch.float64 else x for x in tensors)


def _scale(D: int, scale: float | None, logits: str) -> float:
    if logits not in LOGITS:
        raise ValueError(f"logits={logits!r}: choose 'trilinear' or 'determinant'")
    if scale is not None:
        return float(scale)
    return D**-0.5 if logits == "trilinear" else (6 * (D // 3) + D % 3) ** -0.5


def _check_window(name: str, w: int | None, S: int) -> int:
    """The window, cut to the sequence: what is larger sees the whole past as well."""
    if w is None:
        return S
    if isinstance(w, bool) or not isinstance(w, (int, torch.SymInt)):
        raise ValueError(f"{name}={w!r}: a window is a whole number of positions, or None for the whole past")
    if w < 1:
        raise ValueError(f"{name}={w}: a window needs at least 1 position, the query's own")
    return min(w, S)


def _check_bias(name: str, bias: float) -> float:
    if isinstance(bias, Tensor):
        raise ValueError(f"{name} is a tensor: a number is expected, since no gradient flows into it")
    return float(bias)


def _check_index(name: str, x: Tensor, shape: tuple[int, ...], q: Tensor) -> None:
    if tuple(x.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(x.shape)}, expected {shape}")
    if x.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"{name} has dtype {x.dtype}, expected int32 or int64")
    if x.device != q.device:
        raise ValueError(f"{name} is on {x.device}, q is on {q.device}")


def _check(*tensors: Tensor) -> None:
    q = tensors[0]
    for name, x in zip(NAMES, tensors, strict=True):
        if x.dim() != 4:
            raise ValueError(f"{name} has {x.dim()} dimensions {tuple(x.shape)}, expected 4: [B, S, {'H' if name == 'q' else 'Hkv'}, D]")
    B, S, H, D = q.shape
    for size, what in ((B, "batch"), (S, "sequence"), (H, "head")):
        if size == 0:
            raise ValueError(f"q has {what} size 0: shape {tuple(q.shape)}")
    if not D_MIN <= D <= D_MAX:
        raise ValueError(f"q has head dimension {D}: the kernels serve {D_MIN} to {D_MAX}")
    k1 = tensors[1]
    expected = ((0, "batch", "q", B), (1, "sequence", "k1", k1.shape[1]), (2, "head", "k1", k1.shape[2]), (3, "channel", "q", D))
    for name, x in zip(NAMES[1:], tensors[1:], strict=True):
        for axis, what, other, size in expected:
            if x.shape[axis] != size:
                raise ValueError(f"{name} has {what} size {x.shape[axis]}, {other} has {size}")
        if x.dtype != q.dtype:
            raise ValueError(f"{name} has dtype {x.dtype}, q has {q.dtype}")
        if x.device != q.device:
            raise ValueError(f"{name} is on {x.device}, q is on {q.device}")
    if k1.shape[2] == 0 or H % k1.shape[2]:
        raise ValueError(f"k1 has {k1.shape[2]} heads, q has {H}: key heads must divide query heads")
    _check_machine(q)


def _check_machine(q: Tensor) -> None:
    dtypes = (torch.float32, torch.float16, torch.bfloat16)
    if INTERPRETED:
        dtypes = (torch.float64, torch.float32, torch.float16)  # the interpreter computes garbage in bf16
        if q.dtype == torch.bfloat16:
            raise ValueError("q has dtype torch.bfloat16, which Triton's interpreter computes wrongly: use float16 or float32 there")
    elif q.device.type != "cuda":
        raise ValueError(
            f"q is on {q.device}: the kernels need a CUDA device. To run them on the CPU, set TRITON_INTERPRET=1 before triton is imported"
        )
    if q.dtype not in dtypes:
        raise ValueError(f"q has dtype {q.dtype}, expected one of {', '.join(str(x) for x in dtypes)}")
