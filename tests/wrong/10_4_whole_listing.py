"""What is compiled is what runs.

exercise: 10.4
rung: hand
diagnosis: whole-listing
"""

import re

import torch


def read_kernel(usage, listing):
    fields = dict(field.split(":") for field in usage.split())
    lines = re.findall(r"/\*(\w+)\*/ (?:@\S+ )?(\S+) ?(.*?) ?;", listing)
    addresses = [int(address, 16) for address, _, _ in lines]
    part = lines
    names = [name for _, name, _ in part]
    counts = [sum(name.startswith(what) for name in names) for what in ("HGMMA", "MUFU.EX2", "LDL")]
    return torch.tensor([int(fields["REG"]), int(fields["STACK"]), *counts])
