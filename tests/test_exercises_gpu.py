"""The kernel exercises' solutions, as they stand in their sources, on a GPU: in fp32 and bf16 against the reference; stubs, too."""

import linecache
import re
from pathlib import Path

import pytest
import torch

from simplex_lab import checks
from simplex_lab.checks import report
from simplex_lab.checks.spec import chapters, exercises

ROOT = Path(__file__).resolve().parent.parent
KERNELS = {id: e for chapter in chapters() for id, e in exercises(chapter).items() if e.kernel}

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="NO CUDA DEVICE: the exercises' kernels were not run on a GPU"),
]


def functions(chapter: str, *, stubs: bool = False) -> dict:
    """What the cells of a solution's source define (``stubs``: with the solutions taken out), without the cells that check."""
    path = next((ROOT / "solutions" / "src").glob(f"{chapter}_*.py"))
    text = path.read_text(encoding="utf-8")
    if stubs:
        text = re.sub(r"^( *)### BEGIN SOLUTION.*?### END SOLUTION", r"\1raise NotImplementedError()", text, flags=re.M | re.S)
    scope = {"__name__": "notebook"}
    for number, cell in enumerate(re.split(r"^# %%.*$", text, flags=re.M)):
        if not re.search(r"^check\(", cell, flags=re.M):
            name = f"cell {number} of {path} {'stubs' * stubs}"
            linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
            exec(compile(cell, name, "exec"), scope)
    return scope


@pytest.mark.parametrize("id", KERNELS)
def test_a_solution_passes_in_fp32_and_bf16(id):
    result = checks.run(id, functions(id[:2])[KERNELS[id].entry])
    print("\n" + report.as_text(result, 3))
    assert result.passed, result
    assert "bf16" in result.notes
    assert "not judged: kernels run on a GPU here" in result.notes


@pytest.mark.parametrize("id", KERNELS)
def test_a_stub_is_not_attempted_on_a_gpu_either(id):
    if KERNELS[id].entry not in (scope := functions(id[:2], stubs=True)):
        pytest.skip("its launcher is part of the solution")
    assert checks.run(id, scope[KERNELS[id].entry]).diagnosis == "not-attempted"


def test_numbers_that_are_wrong_are_named_on_a_gpu_too():
    path = ROOT / "tests" / "wrong" / "07_3_l_not_rescaled.py"
    scope = {"__name__": "answer"}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), scope)
    result = checks.run("07.3", scope["softmax_rows"])
    assert (result.rung, result.diagnosis) == ("random", "l-not-rescaled")
