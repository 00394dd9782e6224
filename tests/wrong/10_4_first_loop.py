"""The loop is the one that comes first.

exercise: 10.4
rung: random
diagnosis: first-loop
"""

import re

import torch


def read_kernel(usage, listing):
    fields = dict(field.split(":") for field in usage.split())
    lines = re.findall(r"/\*(\w+)\*/ (?:@\S+ )?(\S+) ?(.*?) ?;", listing)
    addresses = [int(address, 16) for address, _, _ in lines]
    spans = [
        (addresses.index(int(operands, 16)), n)
        for n, (_, name, operands) in enumerate(lines)
        if name == "BRA" and int(operands, 16) <= addresses[n]
    ]
    first, last = spans[0]
    part = lines[first : last + 1]
    names = [name for _, name, _ in part]
    counts = [sum(name.startswith(what) for name in names) for what in ("HGMMA", "MUFU.EX2", "LDL")]
    return torch.tensor([int(fields["REG"]), int(fields["STACK"]), *counts])
