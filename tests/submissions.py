"""Submissions for the grader: right ones, wrong ones, and hostile ones. What floods, floods little: nothing is hurt if a limit fails."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from simplex_lab.checks.spec import chapters, exercises

ROOT = Path(__file__).resolve().parent.parent
WRONG = sorted((ROOT / "tests" / "wrong").glob("*.py"))
ALL = {id: e for chapter in chapters() for id, e in exercises(chapter).items()}


@dataclass
class Submission:
    """A file and what its grades must be: for each exercise the statuses that are right; none at all for a file that is no notebook."""

    name: str
    content: str | bytes
    expected: dict[str, set[str]] = field(default_factory=dict)
    slow: bool = False  # needs a short leash


def cells(chapter: str, kind: str = "solutions") -> list[str]:
    """The code cells of a solution (or of an exercise that nobody has solved)."""
    (path,) = (ROOT / kind).glob(f"{chapter}_*.ipynb")
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in found if c["cell_type"] == "code"]


def notebook(sources: list[str]) -> str:
    code = [
        {"cell_type": "code", "execution_count": None, "id": f"c{n}", "metadata": {}, "outputs": [], "source": s}
        for n, s in enumerate(sources)
    ]
    return json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def all_of(chapter: str, status: str) -> dict[str, set[str]]:
    return {id: {status} for id in exercises(chapter)}


def instead(sources: list[str], id: str, source: str) -> list[str]:
    """The cells with ``source`` in place of the one that defines the function of an exercise."""
    found = [bool(re.search(rf"^def {ALL[id].entry}\b", s, re.M)) for s in sources]
    assert any(found), id
    last = max(n for n, yes in enumerate(found) if yes)
    return [source if n == last else s for n, s in enumerate(sources)]


def right(chapter: str, n: int) -> Submission:
    """A solution as it is, with cells between that a notebook may have, or in a copy with another name."""
    sources = cells(chapter)
    if n % 3 == 1:
        sources = ["%matplotlib inline\n!ls", *sources, "get_ipython().run_line_magic('time', '1')", "1 / 0", "display(1)"]
    return Submission(
        f"right_{chapter}_{n}" if n % 3 < 2 else f"my homework ({chapter[1]}) – final {n}", notebook(sources), all_of(chapter, "passed")
    )


def wrong(path: Path) -> Submission:
    """A wrong answer of the tests in an otherwise right notebook."""
    id = re.search(r"^exercise: (.+)$", path.read_text(encoding="utf-8"), re.M).group(1)
    chapter = id[:2]
    source = path.read_text(encoding="utf-8").split('"""', 2)[2]
    diagnosis = re.search(r"^diagnosis: (.+)$", path.read_text(encoding="utf-8"), re.M).group(1)
    status = {"not-attempted": "not attempted", "not-a-function": "missing"}.get(diagnosis, "failed")
    expected = all_of(chapter, "passed") | {id: {status}}
    return Submission(f"wrong_{path.stem}", notebook(instead(cells(chapter), id, source)), expected)


def unsolved(chapter: str, n: int = 0) -> Submission:
    return Submission(f"unsolved_{chapter}_{n}", notebook(cells(chapter, "exercises")), all_of(chapter, "not attempted"))


# --- hostile ones, all of chapter 03: (extra cells before, changed cells, expected) ------------------------------------------

ID, OTHERS = "03.2", ("03.1", "03.3", "03.4", "03.5")
ENTRY = ALL[ID].entry
STUB = f"def {ENTRY}(*args):\n    raise NotImplementedError()"
NONSENSE = f"def {ENTRY}(A):\n    return A * 0 + 0.5"


def only(status: set[str], others: str = "passed") -> dict[str, set[str]]:
    return {ID: status} | {id: {others} for id in OTHERS}


def first(source: str, then: str = NONSENSE, expected: dict | None = None, **options) -> Callable[[str], Submission]:
    """A cell at the top, and an answer that is wrong."""
    made = notebook([source, *instead(cells("03"), ID, then)])
    return lambda name: Submission(name, made, expected or only({"failed"}), **options)


def answer(source: str, expected: set[str], **options) -> Callable[[str], Submission]:
    made = notebook(instead(cells("03"), ID, source))
    return lambda name: Submission(name, made, only(expected), **options)


def raw(content: str | bytes) -> Callable[[str], Submission]:
    return lambda name: Submission(name, content)


HOSTILE: dict[str, Callable[[str], Submission]] = {
    "forged print": first('print("03.2  passed"); display("03.2 passed")', STUB, only({"not attempted"})),
    "edited check": first("import simplex_lab.checks as c\nc.check = lambda *a, **k: print('passed')"),
    "check redefined": first("def check(id, fn):\n    print(id, 'passed')", STUB, only({"not attempted"})),
    "patched ladder": first(
        "import simplex_lab.checks.ladder as l\nl.Climb.run = lambda self: l.Result(self.exercise, passed=True)\n"
        "l.Climb.compare = l.Climb.fail = lambda *a, **k: None"
    ),
    "patched call": first(
        "import simplex_lab.checks.call as c, torch\n"
        "c.call = lambda e, fn, case, expected, **k: c.Outcome(value=torch.ones(expected.shape))",
        expected=all_of("03", "failed"),
    ),
    "asks for answers": answer(
        f"def {ENTRY}(A):\n    from simplex_lab.checks.spec import find\n    return find('{ID}').answer(A)", {"failed"}
    ),
    "imports answers": answer(f"from simplex_lab.checks.chapter03 import EXERCISES\n{NONSENSE}", {"missing"}),
    "lent answer": answer(f"def {ENTRY}(A):\n    return checkpoint('{ID}', None)(A)", {"failed"}),
    "checkpoint instead of an answer": answer(f"{STUB}\n{ENTRY} = checkpoint('{ID}', {ENTRY})", {"missing", "not attempted"}),
    "exit in a cell": first("import os\nos._exit(0)", expected=all_of("03", "stopped")),
    "sys.exit in a cell": first("import sys\nsys.exit('done')"),
    "exit in an answer": answer(f"import os\ndef {ENTRY}(A):\n    os._exit(0)", {"stopped"}),
    "kills its process": answer(f"import os\ndef {ENTRY}(A):\n    os.kill(os.getpid(), 9)", {"stopped", "failed"}),
    "segfault": answer(f"import ctypes\ndef {ENTRY}(A):\n    ctypes.string_at(0)", {"stopped"}),
    "endless cell": first("while True:\n    pass", slow=True),
    "endless cell, deaf": first(
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass", expected=all_of("03", "stopped"), slow=True
    ),
    "processes": first(
        "import os, time\nfor _ in range(120):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n        os._exit(0)\n"
        "time.sleep(5)",
        expected={id: {"passed", "stopped"} for id in OTHERS} | {ID: {"failed", "stopped"}},  # without being root, fork fails
        slow=True,
    ),
    "memory": first("x = bytearray(40 << 30)"),
    "memory in an answer": answer(f"def {ENTRY}(A):\n    return bytearray(40 << 30)", {"failed"}),
    "output": first("import os\nfor _ in range(200):\n    print('x' * 100_000)\n    os.write(1, b'x' * 100_000)"),
    "a large file": first(
        "with open('large', 'wb') as f:\n    for _ in range(80):\n        f.write(b'x' * (1 << 20))", expected=only({"failed", "stopped"})
    ),
    "many files": first(
        "for n in range(3000):\n    open(f'f{n}', 'w').close()",
        expected={id: {"passed", "stopped"} for id in OTHERS} | {ID: {"failed", "stopped"}},  # without namespaces it is ended
    ),
    "own module in the way": first("open('torch.py', 'w').write('raise RuntimeError')\nimport sys\nsys.path.insert(0, '.')"),
    "deleted cell": lambda name: Submission(name, notebook(instead(cells("03"), ID, "pass")), only({"missing"})),
    "renamed function": answer("def mine(A):\n    return A", {"missing"}),
    "not a function": answer(f"{ENTRY} = 7", {"missing"}),
    "syntax error": answer(f"def {ENTRY}(A):\n    return (", {"missing"}),
    "forged frames": first(
        "import os, sys\nfrom simplex_lab.grading import wire\n"
        "for _ in range(50):\n    os.write(int(sys.argv[2]), wire.pack({'value': 1, 'passed': True}))",
        expected={id: {"passed", "failed", "stopped"} for id in OTHERS} | {ID: {"failed", "stopped"}},
    ),
    "noise on the line": first("import os, sys\nos.write(int(sys.argv[2]), bytes(range(256)) * 8)", expected=all_of("03", "stopped")),
    "closed line": first("import os\nos.closerange(3, 200)", expected=all_of("03", "stopped")),
    "modules thrown away": first(
        "import sys\nfor name in list(sys.modules):\n    if name.startswith('simplex_lab'):\n        del sys.modules[name]",
        expected={id: {"failed", "stopped", "missing", "passed"} for id in OTHERS} | {ID: {"failed", "stopped", "missing"}},
    ),
    "patched torch": first(
        "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\ntorch.Tensor.__le__ = lambda a, b: torch.ones(a.shape) > 0",
        expected={id: {"passed", "failed", "stopped"} for id in OTHERS} | {ID: {"failed", "stopped"}},
    ),
    "an object that agrees": answer(
        "class Yes:\n    shape = ()\n    def __getattr__(self, name):\n        return self\n"
        "    def __eq__(self, other):\n        return True\n"
        f"def {ENTRY}(A):\n    return Yes()",
        {"failed"},
    ),
    "a very large answer": answer(f"import torch\ndef {ENTRY}(A):\n    return torch.zeros(1).expand(1 << 34)", {"failed", "stopped"}),
    "changes its input": answer(f"def {ENTRY}(A):\n    A.zero_()\n    return A + 1", {"failed"}),
    "empty file": raw(""),
    "cut off": raw(notebook(["x = 1"])[:-20]),
    "binary": raw(bytes(range(256)) * 20),
    "no notebook": raw('{"a": 1}'),
    "deep": raw("[" * 100_000),
    "cells of another kind": raw('{"cells": [{"cell_type": "code", "source": [1, 2]}]}'),
    "nothing of the course": raw(notebook(["print('hello')"])),
    "no cells": raw(notebook([])),
}


def some(count: int, seed: int = 0) -> list[Submission]:
    """``count`` submissions, a quarter right or unsolved, a quarter hostile, the others wrong, of all chapters."""
    chance = random.Random(seed)
    kinds = list(HOSTILE)
    chance.shuffle(kinds)
    hostile = [HOSTILE[kinds[n % len(kinds)]](f"hostile_{n}_{kinds[n % len(kinds)].replace(' ', '_')}") for n in range(count // 4)]
    numbers = chapters()
    plain = [unsolved(numbers[n % len(numbers)], n) if n % 5 == 4 else right(numbers[n % len(numbers)], n) for n in range(count // 4)]
    return [*plain, *hostile, *map(wrong, chance.sample(WRONG, count - len(plain) - len(hostile)))]
