"""`prepare` in fresh processes: before and after Triton's import, and where there is no Triton."""

import subprocess
import sys

import pytest
import torch

from simplex_lab import interpreter

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU, prepare has nothing to decide")


def in_fresh_process(code: str, **env) -> str:
    import os

    clean = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | env
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_prepare_comes_first_and_kernels_run():
    code = "from simplex_lab.interpreter import prepare, interpreting\nprint(prepare())\nimport triton\nprint(interpreting(), prepare())"
    assert in_fresh_process(code).split() == ["cpu", "True", "cpu"]


def test_prepare_after_triton_says_what_to_do():
    code = (
        "import triton\n"
        "from simplex_lab.interpreter import prepare, CannotRun\n"
        "try: prepare()\n"
        "except CannotRun as e: print(*e._render_traceback_())"
    )
    assert "Restart the kernel" in in_fresh_process(code)


def test_a_variable_that_was_set_before_is_enough():
    code = "import triton\nfrom simplex_lab.interpreter import prepare\nprint(prepare())"
    assert in_fresh_process(code, TRITON_INTERPRET="1") == "cpu"


def test_without_triton_one_line_says_where_to_go(monkeypatch):
    monkeypatch.setattr(interpreter, "find_spec", lambda name: None)
    with pytest.raises(interpreter.CannotRun, match="WSL"):
        interpreter.prepare()
