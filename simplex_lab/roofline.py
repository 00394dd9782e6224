"""A roofline by hand: what an operation multiplies, what it must move, and the least time that a chip can need for it.

Units: FLOPs and bytes of one key head, TFLOP/s, TB/s, ms. FLOPs are those of matrix products, ``4 D`` a triple, head and batch entry
forward (the kernels' convention); numbers are bf16, two bytes each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from simplex_lab import records

BYTES = 2  # of a number in bf16


@dataclass(frozen=True)
class Chip:
    """Peaks: ``products`` and ``adds`` in TFLOP/s (a fused multiply-add counts two), ``exps`` in 10^12 a second, ``memory`` in TB/s."""

    products: float
    adds: float
    exps: float
    memory: float

    @property
    def ridge(self) -> float:
        """FLOPs a byte from which on products take longer than moving."""
        return self.products / self.memory


def published_chip() -> Chip:
    """The H100 as ``results/published.csv`` has it, each number with its source."""
    rows = {r["metric"]: r["value"] for r in records.read("published.csv") if r["name"] == "chip"}
    return Chip(rows["matrix products"], rows["additions and multiplications"], rows["exponentials"], rows["memory bandwidth"])


def intensity(w1: int, w2: int | None, group: int, *, decode: bool = False) -> float:
    """FLOPs for each byte that must be moved, deep in a long sequence, where all windows are full.

    A query is read and an output written for each of the ``group`` heads of a key head. In training
    each key and value is read once for the whole sequence, so a position pays for its own rows; a
    ``decode`` step reads both windows for a single position. Channels cancel. ``w2=None`` is
    dot-product attention over ``w1`` keys.

        triples   training w1 w2 G / (G + 2)    decode w1 w2 G / (G + w1 + w2)
        pairs     training w G / (G + 1)        decode w G / (G + w)
    """
    pairs = w1 if w2 is None else w1 * w2
    tensors, read = (1, w1) if w2 is None else (2, w1 + w2)  # rows of keys and values, in units of one key and one value
    return pairs * group / (group + (read if decode else tensors))


def unfolded_bytes(B: int, S: int, H: int, D: int, w1: int, w2: int, *, compiled: bool) -> int:
    """Bytes that ``baselines.unfolded`` moves between the chip and its memory.

    In passes over ``B H S w1 w2`` numbers of two bytes; a pass over fp32 counts two. One operation after the other, read + written:
    logits 0 + 1, to fp32 1 + 2, scaled 2 + 2, masked 4 + 4 (a copy, then filled), softmax 2 + 2, to bf16 2 + 1, product 1 + 0: 24.
    Compiled, everything between the two products is one kernel: logits 0 + 1 and 1 + 0, weights 0 + 1 and 1 + 0: 4. A row that a
    kernel reads again counts once: it may come from a cache. Beside them rows of ``D`` for each j: ``q k1_j`` and ``P V2``, written
    and read, and, one operation after the other, ``(P V2) v1_j`` too.
    """
    weights, rows = B * H * S * w1 * w2, B * H * S * w1 * D
    return BYTES * (4 * weights + 4 * rows if compiled else 24 * weights + 6 * rows)


def executed_triples(S: int, w1: int, w2: int, block_k: int) -> int:
    """Triples of one head in the tiles that a program of one position walks over: second keys come in whole tiles."""
    return sum(min(i + 1, w1) * block_k * -(-min(i + 1, w2) // block_k) for i in range(S))


def on_chip(chip: Chip, D: int, block_k: int, *, online: bool, masked: bool) -> dict[str, float]:
    """Time of one triple and head on each of the three kinds of units, in 10^-12 s.

    Products: ``4 D`` FLOPs. Exponentials: one. The rest are fp32 instructions, ``adds / 2`` of them
    in a second. For each logit: a multiply-add (scale and pivot), its part of the sum, a conversion
    to bf16. A running maximum (``online``) adds two: the maximum, and a subtraction apart from the
    scale. ``masked`` tiles add one. The accumulator and ``q * k1_j`` have ``D / block_k`` entries a
    logit: a multiply-add for the one (and, with a running maximum, the rescaling), half an
    instruction for the other, which multiplies bf16 in pairs.
    """
    each, entries = 3 + 2 * online + masked, 1.5 + online
    instructions = each + entries * D / block_k
    return {"products": 4 * D / chip.products, "exponentials": 1 / chip.exps, "the rest": instructions / (chip.adds / 2)}


@dataclass(frozen=True)
class Rung:
    """A version of the operation: ``by_hand`` is the time that ``resource`` would take alone, ``taken`` the recorded one, in ms."""

    arm: str
    name: str
    changed: str
    resource: str
    by_hand: float
    taken: float


NAMES = {
    "unfolded, eager": ("PyTorch", "an operation, a kernel", "memory"),
    "unfolded": ("compiled", "softmax in one kernel", "memory"),
    "j outside": ("Triton, j outside", "weights stay on the chip", "units in turn"),
    "k outside": ("Triton, k outside", "a tile serves all j", "units in turn"),
    "kernels": ("the library", "pivot, few masks, rows ahead", "units in turn"),
}


def ladder(rows: list, chip: Chip) -> list[Rung]:
    """The recorded rungs of question *ladder*, each beside a time by hand.

    On memory that is a lower bound. For the kernels it is what products, exponentials and the rest take one after the other: a kernel
    that overlaps them can be faster, one that waits for anything else is slower. Products run at the rate of the matrix product that
    was timed in turn.
    """
    rungs = []
    for arm, (name, changed, resource) in NAMES.items():
        mine = [r for r in rows if r["config"]["question"] == "ladder" and r["config"]["arm"] == arm]
        at, c = {r["metric"]: r["value"] for r in mine}, mine[0]["config"]
        if resource == "memory":
            moved = unfolded_bytes(*(c[n] for n in ("B", "S", "H", "D", "w1", "w2")), compiled=arm == "unfolded")
            by_hand = moved / chip.memory / 1e9
        else:
            block_k, first = int(at.get("size: block", 128)), arm != "kernels"
            units = on_chip(replace(chip, products=at["matmul rate"]), c["D"], block_k, online=first, masked=first)
            by_hand = c["B"] * c["H"] * executed_triples(c["S"], c["w1"], c["w2"], block_k) * sum(units.values()) / 1e9
        rungs.append(Rung(arm, name, changed, resource, by_hand, at["forward"]))
    return rungs
