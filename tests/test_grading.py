"""Right, wrong and hostile submissions end in the grades that they deserve: none lost, none wrong, nothing left behind."""

import csv
import json
import os
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from submissions import ALL, HOSTILE, ID, NONSENSE, Submission, cells, instead, notebook, right, some

from simplex_lab import cli
from simplex_lab.checks import run
from simplex_lab.grading import reports, sandbox, wire
from simplex_lab.grading.grade import STATUS, Row, grade, grade_all
from simplex_lab.grading.sandbox import Limits

COUNT = int(os.environ.get("SIMPLEX_LAB_SUBMISSIONS", "20"))
LEASH = Limits(seconds=10, cell_seconds=1)
needs_namespaces = pytest.mark.skipif(not sandbox.isolated(), reason="no namespaces here: only limits hold")


def hand_in(folder: Path, submission: Submission) -> Path:
    path = folder / f"{submission.name}.ipynb"
    content = submission.content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def wrongly_graded(submission: Submission, rows: list[Row]) -> str:
    """What is wrong with these grades, or nothing."""
    if not submission.expected:
        return "" if [r.status for r in rows] == ["unreadable"] and rows[0].says else f"{rows}"
    if [r.exercise for r in rows] != sorted(submission.expected):
        return f"exercises lost or twice: {rows}"
    off = [r for r in rows if r.status not in submission.expected[r.exercise] or (r.status != "passed" and not r.says)]
    return "\n".join(map(str, off))


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX")
def test_a_pile_of_submissions(tmp_path, capsys):
    """``SIMPLEX_LAB_SUBMISSIONS=200`` for a larger one."""
    pile = some(COUNT)
    began = time.monotonic()
    for leash in (False, True):
        part = [s for s in pile if s.slow is leash]
        paths = [hand_in(tmp_path, s) for s in part]
        rows = reports.by_submission(grade_all(paths, LEASH if leash else Limits(), jobs=2))
        assert list(rows) == [str(p) for p in paths]
        off = {s.name: told for s, own in zip(part, rows.values(), strict=True) if (told := wrongly_graded(s, own))}
        assert not off, "\n".join(f"{name}: {told}" for name, told in off.items())
    with capsys.disabled():
        kinds = Counter(s.name.split("_")[0] for s in pile)
        print(f"\n{len(pile)} submissions ({dict(kinds)}) graded in {time.monotonic() - began:.0f} s, none wrongly")
