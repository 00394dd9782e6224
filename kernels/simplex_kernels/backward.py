"""The backward as a whole: which kernels run, and the scratch that they share.

Partial sums of the keys' gradients are worked through in chunks of blocks, so that they never take more than ``configs.SCRATCH_BYTES``.
If one chunk does for all, the sums go straight to the gradients; otherwise to fp32 copies of them first.
"""

import torch
import triton
from torch import Tensor

from simplex_kernels import backward_delta, backward_keys, backward_query, backward_window, configs, hopper, reduce
from simplex_kernels.problem import Problem

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def backward(p: Problem, o: Tensor, lse2: Tensor, do: Tensor, dlse2: Tensor | None) -> Gradients:
    """Gradients ``(dq, dk1, dk2, dv1, dv2)`` of an oriented problem; ``lse2, dlse2 [B, S, H]`` contiguous."""
    B, S, _, _, Hkv, D = p.sizes
    if configs.window(p):
        p = p.with_biases_added()
        tile = configs.backward_window(p)
        W1, W2, step = p.padded(p.w1), p.padded(p.w2), tile.positions
        frames = ((step, 1 - W1, 1, step + W1 - 1), (step, 1 - W2, 1, step + W2 - 1))
        delta = backward_delta.launch(p, o, do, dlse2)
        dq = torch.empty(o.shape, dtype=o.dtype, device=o.device)

        def fill(first, blocks, part1, part2):
            backward_window.launch(p, tile, lse2, delta, do, dq, first, blocks, part1, part2)
    elif hopper.chosen(p):
        from simplex_kernels.hopper import backward_keys as keys  # Gluon, which not every Triton has
        from simplex_kernels.hopper import backward_query as query

        do = do if hopper.aligned(do) else do.contiguous()
        keys_delta = torch.empty_like(lse2)
        delta = backward_delta.launch(p, o, do, dlse2, keys_delta)
        dq = query.launch(p, lse2, delta, do)
        n, step = keys.tiles(p), keys.BLOCK_J
        frames = ((step, 0, n, step), (step, 1 - p.w2, 1, n * keys.BLOCK_K))

        def fill(first, blocks, part1, part2):
            keys.launch(p, do, lse2, keys_delta, first, blocks, part1, part2)
    else:
        dq, stat = backward_query.launch(p, configs.backward_query(p), o, lse2, do, dlse2)
        tile = configs.backward_keys(p)
        n, step = backward_keys.tiles(p, tile), tile.block_j
        frames = ((step, 0, n, step), (step, 1 - p.w2, 1, n * tile.block_k))

        def fill(first, blocks, part1, part2):
            backward_keys.launch(p, tile, do, stat, first, blocks, part1, part2)

    numbers = [2 * copies * width * D for _, _, copies, width in frames]  # of a block, in part1 and part2
    total = B * Hkv * triton.cdiv(S, step)
    chunk = blocks_at_once(total, sum(numbers) * lse2.itemsize)
    chunked = chunk < total
    like_keys = {"size": p.k1.shape, "device": o.device}
    sums = [torch.zeros(**like_keys, dtype=lse2.dtype) if chunked else torch.empty(**like_keys, dtype=o.dtype) for _ in range(4)]
    parts = [torch.empty(chunk * size, dtype=lse2.dtype, device=o.device) for size in numbers]
    for first in range(0, total, chunk):
        last = min(first + chunk, total)
        fill(first, last - first, *parts)
        for part, dk, dv, frame in zip(parts, sums[::2], sums[1::2], frames, strict=True):
            reduce.launch(p, part, dk, dv, first, last, *frame, accumulate=chunked)
    dk1, dv1, dk2, dv2 = (x.to(o.dtype) for x in sums)
    return dq, dk1, dk2, dv1, dv2


def blocks_at_once(total: int, block_bytes: int) -> int:
    """How many of ``total`` blocks fit into the scratch together; at least one, which exceeds it when windows reach some 400,000."""
    return max(1, min(total, configs.SCRATCH_BYTES // block_bytes))
