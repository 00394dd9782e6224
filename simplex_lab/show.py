"""Put things on a notebook page: the source of a library function, or a figure with its alt text."""

from __future__ import annotations

import inspect
import io
import textwrap
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def show_source(obj: Callable, *, docstring: bool = False) -> None:
    """Display the source of ``obj`` as it is in the package, headed by its file and lines.

    ``docstring=False`` leaves the docstring out: the page around it says the same. On a narrow page the source scrolls sideways; JupyterLab
    would break its lines in the middle of a word.
    """
    from IPython.display import display

    obj = inspect.unwrap(getattr(obj, "fn", obj))  # a kernel wraps its function
    lines, first = inspect.getsourcelines(obj)
    path = Path(inspect.getsourcefile(obj)).resolve()
    path = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
    code = textwrap.dedent("".join(lines)).rstrip().replace("  # fmt: skip", "")  # a note to the formatter, not to the reader
    if not docstring and obj.__doc__:
        code = _without_docstring(code)
    head = f"{path.as_posix()}, lines {first}-{first + len(lines) - 1}"
    width = max(map(len, code.splitlines())) * 0.65  # em: a character of the code is narrower
    page = f'*{head}*\n\n<div style="min-width: {width:.0f}em">\n\n```python\n{code}\n```\n\n</div>'
    display({"text/plain": f"{head}\n{code}", "text/markdown": page}, raw=True)


def show_diff(before: Callable, after: Callable) -> None:
    """Display how ``after`` differs from ``before``, line by line; lines that only moved inwards count as the same."""
    import difflib

    from IPython.display import display

    old, new = (textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(f, "fn", f)))).splitlines() for f in (before, after))
    marks = difflib.SequenceMatcher(None, [line.strip() for line in old], [line.strip() for line in new], autojunk=False)
    rows = []
    for kind, a0, a1, b0, b1 in marks.get_opcodes():
        if kind == "equal":
            same = [f"  {line}" for line in new[b0:b1]]
            rows += same if len(same) < 5 else [same[0], "  ...", same[-1]]
        else:
            rows += [f"- {line}" for line in old[a0:a1]] + [f"+ {line}" for line in new[b0:b1]]
    code = "\n".join(rows)
    width = max(map(len, rows)) * 0.65
    display({"text/plain": code, "text/markdown": f'<div style="min-width: {width:.0f}em">\n\n```diff\n{code}\n```\n\n</div>'}, raw=True)


def show_figure(fig, alt: str, *, caption: str = "") -> None:
    """Display a figure at twice the screen's resolution with ``alt`` as its text, then close it.

    ``caption`` is shown below: what to look at, and the record that the numbers come from.
    """
    from IPython.display import display
    from matplotlib import pyplot as plt

    data, width = png(fig), int(fig.get_figwidth() * 96)
    plt.close(fig)
    display({"image/png": data, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt, "width": width}})
    if caption:
        display({"text/markdown": caption, "text/plain": caption}, raw=True)


def png(fig, dpi: int = 192) -> bytes:
    """The figure as PNG on opaque white, with 256 colours (a third of the bytes) and no time stamp: same figure, same bytes."""
    from PIL import Image

    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", dpi=dpi, facecolor="white", pil_kwargs={"compress_level": 0})
    palette = Image.open(full).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(small, "png")
    return small.getvalue()


def _without_docstring(code: str) -> str:
    import ast

    body = ast.parse(code).body[0].body
    first = body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)):
        return code
    rows = code.splitlines()
    return "\n".join(rows[: first.lineno - 1] + rows[first.end_lineno :])
