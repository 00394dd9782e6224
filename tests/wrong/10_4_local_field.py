"""Spilled registers lie in local memory, so LOCAL counts them.

exercise: 10.4
rung: hand
diagnosis: local
"""

import re

import torch


def read_kernel(usage, listing):
    fields = dict(field.split(":") for field in usage.split())
    lines = re.findall(r"/\*(\w+)\*/ (?:@\S+ )?(\S+) ?(.*?) ?;", listing)
    addresses = [int(address, 16) for address, _, _ in lines]
    loops = [
        (addresses.index(int(operands, 16)), n)
        for n, (_, name, operands) in enumerate(lines)
        if name == "BRA" and int(operands, 16) <= addresses[n]
    ]
    (part,) = (
        lines[a : b + 1]
        for a, b in loops
        if any(name.startswith("HGMMA") for _, name, _ in lines[a : b + 1])
        and not any((a, b) != (c, d) and a <= c and d <= b for c, d in loops)
    )
    names = [name for _, name, _ in part]
    counts = [sum(name.startswith(what) for name in names) for what in ("HGMMA", "MUFU.EX2", "LDL")]
    return torch.tensor([int(fields["REG"]), int(fields["LOCAL"]), *counts])
