"""A cell that breaks on purpose: the end of the log must say which notebook, which cell and what differs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import from_dict

from tools.nbval_summary import LINES, summary
from tools.notebooks import dumps

ROOT = Path(__file__).resolve().parents[1]
SANITIZE = ROOT / "tests/nbval_sanitize.cfg"
# The command of `make test`, and this project's settings for a file that lies elsewhere.
COMMAND = [
    *(sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", str(SANITIZE), "--nbval-current-env"),
    *("--nbval-cell-timeout", "120", "-n", "2", "--dist", "loadfile", "-p", "tools.nbval_env", "-p", "tools.nbval_summary"),
    *("-W", "default", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")),
]
LONG = "for n in range(60):\n    print('row', n)"


def code(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "id": f"c{len(source)}", "metadata": {}, "source": source, "outputs": list(outputs), "execution_count": 1}


def printed(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def run_nbval(folder: Path, **notebooks: list[dict]) -> tuple[int, str]:
    """The exit code and the last 30 lines of an nbval run over these cells."""
    for name, cells in notebooks.items():
        title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Title"}
        notebook = {"cells": [title, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (folder / f"{name}.ipynb").write_text(dumps(from_dict(notebook)), encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [*COMMAND, "--rootdir", str(folder), *(str(folder / f"{name}.ipynb") for name in notebooks)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, "\n".join((done.stdout + done.stderr).splitlines()[-30:])


def test_the_log_ends_with_notebook_cell_and_difference(tmp_path):
    rows = "".join(f"row {n}\n" for n in range(60))
    status, tail = run_nbval(
        tmp_path,
        differs=[code("x = 2"), code(LONG, printed(rows.replace("row 30", "row 31"))), code("x", printed("2\n"))],
        raises=[code("x = 1"), code("x / 0"), *(code(f"{'x' * n}") for n in range(2, 30))],
    )
    assert status == 1
    assert "differs.ipynb: cell 3 (Cell 1): Cell outputs differ" in tail
    assert "| for n in range(60):" in tail
    assert "-row 31\n" in tail
    assert "+row 30\n" in tail
    assert "raises.ipynb: cell 3 (Cell 1): Cell execution caused an exception" in tail
    assert "| x / 0" in tail
    assert "ZeroDivisionError: division by zero" in tail
    assert "also broken" in tail
    assert "\x1b[" not in tail.partition("Broken notebook cells")[2]


def test_the_makefile_runs_nbval_like_this():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    recipe = " ".join(" ".join(line.split()) for line in makefile.splitlines() if "nbval" in line)
    for flags in (
        "-p tools.nbval_env -p tools.nbval_summary",
        "--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-current-env --nbval-cell-timeout 120",
        "--dist loadfile",
    ):
        assert flags in recipe, f"the Makefile's nbval command lacks {flags}"


def test_a_run_without_a_difference_adds_nothing(tmp_path):
    """And the kernel has a progress folder of its own and no interpreter mode that the tests asked for."""
    look = "import os, pathlib\nprint(os.environ.get('TRITON_INTERPRET'), os.listdir(os.environ['SIMPLEX_LAB_HOME']))"
    status, tail = run_nbval(
        tmp_path, fine=[code(look, printed("None []\n")), code("print('max error 2.5e-07')", printed("max error 0.0\n"))]
    )
    assert status == 0, tail
    assert "Broken" not in tail


@pytest.mark.parametrize(("notebooks", "cells"), [(1, 1), (1, 80), (9, 9)])
def test_the_summary_is_short(notebooks, cells):
    found = [
        {
            "notebook": f"chapters/{n}.ipynb",
            "cell": cell,
            "nbval": f"Cell {cell}",
            "line": "chapters/src/x.py:1",
            "what": "Cell execution caused an exception",
            "source": ["x"] * 40,
            "detail": [f"line {line}" for line in range(99)],
        }
        for n in range(notebooks)
        for cell in range(1, cells + 1)
    ]
    lines = summary(found)
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= 200
    assert any("chapters/0.ipynb: cell 1 (Cell 1, chapters/src/x.py:1)" in line for line in lines)
    assert "line 98" in lines[-1]


def sanitized(text: str) -> str:
    import re

    from nbval.plugin import get_sanitize_patterns

    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8")):
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("simplex_lab/reference.py, lines 65-80", "simplex_lab/reference.py, lines 7-9"),
        ("kernels/simplex_kernels/forward.py, line 5", "kernels/simplex_kernels/forward.py, line 51"),
        ("passed  max error 3e-07  on CPU", "passed  max error 1.25e-12  on CPU"),
        ("max error 0", "max error 3e-07"),
        ("took 12.3 s, 4.5 ms each", "took 9.87 s, 10.25 ms each"),
        ("<object at 0x7f1234567890>", "<object at 0x55d012345678>"),
        ("IPY_MODEL_" + "a1" * 16, "IPY_MODEL_" + "b2" * 16),
    ],
)
def test_what_may_differ_is_hidden(one, other):
    assert sanitized(one) == sanitized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("simplex_lab/reference.py, lines 65-80", "simplex_lab/tiled.py, lines 65-80"),
        ("max error 3e-07", "max error 3e-04"),
        ("max error 0.5", "max error 0.25"),
        ("error 3e-07", "error 4e-07"),
        ("0.5 seconds apart", "0.6 seconds apart"),
        ("512 samples", "513 samples"),
        ("0.61 score", "0.78 score"),
        ("1.5 s/step", "2.5 s/step"),
        ("mask 0x1F", "mask 0x2F"),
        ("shape 3 x 4", "shape 3 x 5"),
    ],
)
def test_everything_else_is_compared(one, other):
    assert sanitized(one) != sanitized(other)
