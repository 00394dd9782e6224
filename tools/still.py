"""A notebook as it reads without a kernel, for the site and the slides.

Widgets become what they show anyway: the first frame of an explorer, the options of a prediction, the questions of a quiz with their
replies behind a fold.
"""

from __future__ import annotations

import re

from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"
IMAGE = "image/png"
PREDICT = re.compile(r"Predict: (.+?)\n((?:  \( \) .*\n?)+)", re.DOTALL)
NOBODY = " (You had not predicted anything.)"
WIDE = re.compile(r'<div style="min-width: \d+em">')  # what JupyterLab needs; here code scrolls by itself


def still(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it reads without a kernel: no widgets, alt texts where the site's builder looks for them."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if "text" in output:
                output.text = output.text.replace(NOBODY, "")
            if "text/markdown" in data:
                data["text/markdown"] = WIDE.sub("<div>", data["text/markdown"])
            if IMAGE in data:
                cell.metadata["mystnb"] = {"image": {"alt": _attribute(output.metadata.get(IMAGE, {}).get("alt") or data["text/plain"])}}
            if found := PREDICT.fullmatch(data.get("text/plain", "")):
                data["text/markdown"] = _prediction(*found.groups())
    return notebook


def _attribute(text: str) -> str:
    return " ".join(text.split()).replace('"', "'")


def _prediction(question: str, options: str) -> str:
    rows = "\n".join(f"- {line.removeprefix('  ( ) ')}" for line in options.splitlines())
    return f'<div class="prediction">\n\n**Predict.** {question}\n\n{rows}\n\n</div>'
