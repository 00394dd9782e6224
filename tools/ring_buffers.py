"""A race in compiled kernels that no test on a CPU can show: ring buffers that are filled again too early."""

import re


def filled_too_early(ttgir: str) -> list[str]:
    """Ring buffers that a product may still read when the next copy arrives: results on a GPU would be wrong now and then.

    A pipelined load that feeds an asynchronous product gets one buffer more than the loads in flight, unless its tile is also read into
    registers (Triton issue 6691). Returns the buffers of which a product reads that the loop does not wait for, and a register load, too.
    """
    ring_of = dict(re.findall(r"(%\S+) = ttg\.memdesc_index (%\S+?)\[", ttgir))
    waited = {name for line in re.findall(r"warp_group_dot_wait (.*?) \{", ttgir) for name in re.findall(r"%[\w#]+", line)}
    loop_results = {name for line in re.findall(r"scf\.yield (.*?) :", ttgir) for name in re.findall(r"%\w+", line)}
    pending = set()
    for result, left, right in re.findall(r"(%\S+) = ttng\.warp_group_dot (%\S+), (%\S+),", ttgir):
        if result in loop_results and result not in waited:
            pending |= {ring_of[x] for x in (left, right) if x in ring_of}
    loaded = {ring_of[x] for x in re.findall(r"ttg\.local_load (%\S+)", ttgir) if x in ring_of}
    return sorted(pending & loaded)
