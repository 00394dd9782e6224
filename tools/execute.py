"""Run a notebook in a fresh kernel and keep what a reader should see: outputs, without times, paths or random ids."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tools import widget_ids

ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellFailed(Exception):
    """The cell with this index stopped the notebook; the message is its traceback, without colours."""

    def __init__(self, index: int, traceback: str):
        super().__init__(traceback)
        self.index = index


def kernel_environment(home: str) -> dict[str, str]:
    """This process's environment, with a home of its own for progress files and without settings that change outputs."""
    unwanted = {"TRITON_INTERPRET", "MPLBACKEND"}
    env = {key: value for key, value in os.environ.items() if key not in unwanted}
    return env | {"SIMPLEX_LAB_HOME": home, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


async def execute(notebook: NotebookNode, folder: Path, name: str, timeout: float) -> NotebookNode:
    """Run all cells in ``folder``; the metadata afterwards is as before, plus the state of the widgets."""
    metadata = dict(notebook.metadata)
    reached = [0]
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=True,
        extra_arguments=["--log-level=ERROR"],
        on_cell_start=lambda cell, cell_index: reached.__setitem__(0, cell_index),
    )
    with tempfile.TemporaryDirectory() as home:
        try:
            await client.async_execute(env=kernel_environment(home))
        except CellExecutionError as error:
            errors = [out.traceback for out in notebook.cells[reached[0]].outputs if out.output_type == "error"]
            traceback = "\n".join(errors[-1]) if errors else error.traceback
            raise CellFailed(reached[0], ANSI.sub("", traceback).strip()) from error
        except (CellTimeoutError, DeadKernelError) as error:
            raise CellFailed(reached[0], f"{type(error).__name__}: {str(error).splitlines()[0]} (limit {timeout:g} s a cell)") from error
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = NotebookNode(metadata | ({"widgets": widgets} if widgets else {}))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return widget_ids.rename(notebook, name)
