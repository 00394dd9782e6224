"""Frames between the grader and a submission: a JSON header, then the bytes of its tensors. Nothing is unpickled.

A frame is the length of the header (8 bytes), the header, and the tensors it lists, one after the other. A value is a number, a text, a
truth value, None, a list or tuple of values, a tensor, or the name of the type of anything else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import torch

HEADER, BODY = 4 << 20, 256 << 20  # bytes that a header and all tensors of a frame may have
DTYPES = {
    str(d).removeprefix("torch."): d
    for d in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128),
    )
}


class Broken(Exception):
    """The other side is gone, or says what no frame says."""


class Something:
    """What a submission returned and no frame can carry: only the name of its type."""


def pack(value: object) -> bytes:
    """A value as a frame."""
    tensors: list[torch.Tensor] = []
    header = json.dumps({"value": _plain(value, tensors), "tensors": [[_name(t), list(t.shape)] for t in tensors]}).encode()
    return b"".join([len(header).to_bytes(8, "big"), header, *(_bytes(t) for t in tensors)])


def unpack(read: Callable[[int], bytes]) -> object:
    """The value of the next frame; ``read(n)`` gives exactly ``n`` bytes.

    Raises:
        Broken: it is no frame, or one that is too large.
    """
    length = int.from_bytes(read(8), "big")
    if length > HEADER:
        raise Broken(f"a header of {length} bytes")
    try:
        header = json.loads(read(length))
        kinds = [(DTYPES[dtype], [int(n) for n in shape]) for dtype, shape in header["tensors"]]
        sizes = [math.prod(shape) * dtype.itemsize for dtype, shape in kinds]
        if any(n < 0 for _, shape in kinds for n in shape) or sum(sizes) > BODY:
            raise Broken("tensors of a size that no answer has")
        tensors = [
            torch.frombuffer(bytearray(read(size)), dtype=torch.uint8).view(dtype).view(shape) if size else torch.empty(shape, dtype=dtype)
            for (dtype, shape), size in zip(kinds, sizes, strict=True)
        ]
        return _value(header["value"], tensors)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, RuntimeError) as error:
        raise Broken(f"no frame: {type(error).__name__}") from error


def _name(t: torch.Tensor) -> str:
    return str(t.dtype).removeprefix("torch.")


def _bytes(t: torch.Tensor) -> bytes:
    return t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def _plain(value: object, tensors: list[torch.Tensor]) -> object:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type != "meta" and _name(value) in DTYPES:
        tensors.append(value.detach().resolve_conj().resolve_neg().cpu())
        return {"tensor": len(tensors) - 1}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_plain(x, tensors) for x in value]}
    if type(value) is dict and all(type(k) is str for k in value):
        return {"dict": {k: _plain(v, tensors) for k, v in value.items()}}
    return {"other": type(value).__name__[:60]}


def _value(plain: object, tensors: list[torch.Tensor]) -> object:
    if not isinstance(plain, dict):
        return plain
    ((kind, what),) = plain.items()
    if kind == "tensor":
        return tensors[what]
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](_value(x, tensors) for x in what)
    if kind == "dict":
        return {k: _value(v, tensors) for k, v in what.items()}
    name = str(what) if str(what).isidentifier() else "object"
    return type(name, (Something,), {})()
