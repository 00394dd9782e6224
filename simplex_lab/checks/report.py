"""How a check answers: a few lines of text everywhere, and the same lines beside a small picture in JupyterLab."""

from __future__ import annotations

import html
import textwrap

import torch

from simplex_lab.checks.ladder import Result

WIDTH = 118
LABEL = "text-align:left;vertical-align:top;padding:1px 12px 1px 0;opacity:.75;white-space:nowrap"
TEXT = "text-align:left;padding:1px 0;white-space:pre-wrap"
RUNGS = {
    "attempted": "attempted",
    "runs": "runs without an error",
    "returns": "returns what the contract promises",
    "finite": "finite numbers",
    "hand": "the hand-sized case of the card",
    "random": "further inputs against the reference",
    "strided": "inputs that are not contiguous in memory",
    "float64": "inputs in float64",
    "sums to one": "the weights of a query sum to 1",
    "causal": "no look into the future",
    "large logits": "large logits",
    "tiles": "one tile at a time",
    "memory": "stays inside its memory",
    "access": "what the kernel touches",
    "fp16": "the same in fp16, as bf16 on a GPU would be",
    "gpu": "the same again on the GPU",
    "bf16": "the same in bf16 on the GPU",
}


def lines(result: Result, hints_left: int) -> list[tuple[str, str]]:
    """The report as ``(label, text)``; a pass is a single line without a label."""
    e = result.exercise
    if result.passed:
        error = f"max error {result.max_error:.0e}{' of the output' * result.shared}" if result.max_error else "exact"
        types = {v.dtype for v in e.hand.args.values() if isinstance(v, torch.Tensor) and v.is_floating_point()}
        if not types:
            return [("", f"{e.id}  passed  {error}")]
        more = "; on a GPU the same check goes on" + " in bf16" * e.kernel if "GPU" in e.verified else ""
        gpu = more if result.device == "CPU" else ""
        passed = [("", f"{e.id}  passed  {error} on {result.device} ({'fp64' if types == {torch.float64} else 'fp32'}){gpu}")]
        return passed + ([("also", result.notes.removesuffix("; "))] if result.notes else [])
    if not result.attempted:
        return [("", f"{e.id}  {e.title}  not attempted yet: {result.says}")]
    rung = RUNGS[result.rung]
    found = [("", f"{e.id}  {e.title}  not yet"), ("rung", rung + (f" ({result.where})" if result.where else ""))]
    if result.inputs:
        found.append(("inputs", result.inputs))
    if result.worst:
        found.append(("worst", result.worst))
    if result.wrong is not None and result.wrong.dim() and len(rows_of(result)[1]) > 1:
        found.append(("where", strip(result)))
    if result.says:
        found.append(("looks like" if result.worst else "saw", result.says))
    if result.asks:
        found.append(("try", result.asks))
    if result.printed:
        found.append(("printed", "your function printed " + result.printed.strip().replace("\n", " | ")[:200]))
    left = f'hint("{e.id}")  ({hints_left} of {len(e.hints)} left)' if hints_left else "all hints are used"
    found.append(("hint", left))
    return found


def strip(result: Result) -> str:
    """One character a row of the output: ``.`` right, ``X`` wrong, ``+`` partly wrong."""
    axis, rows = rows_of(result)
    marks = "".join("." if not r.any() else "X" if r.all() else "+" for r in rows[:64])
    return f"{axis} = 0 {marks} {len(rows) - 1}   (. right, + partly wrong, X wrong)"


def rows_of(result: Result) -> tuple[str, torch.Tensor]:
    """The wrong entries as a matrix, one row for each position of the axis that the report talks about."""
    axes = result.exercise.axes.split()
    main = axes.index("i") if "i" in axes else 0
    wrong = result.wrong.movedim(main, 0) if result.wrong.dim() > 1 else result.wrong
    return (axes[main] if axes else "row"), wrong.reshape(wrong.shape[0], -1)


def as_text(result: Result, hints_left: int) -> str:
    out = []
    for label, text in lines(result, hints_left):
        first = f"  {label:<11}" if label else ""
        out.append(textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * 13, break_on_hyphens=False))
    return "\n".join(out)


def as_html(result: Result, hints_left: int) -> str:
    """The same lines for JupyterLab, in its theme's own text colour, with a picture of where the output is wrong."""
    rows = lines(result, hints_left)
    colour = "#00734F" if result.passed else "#A84300" if result.attempted else "#0072B2"
    head, rest = html.escape(rows[0][1]), rows[1:]
    body = "".join(
        f'<tr style="background:none"><td style="{LABEL}">{html.escape(a)}</td><td style="{TEXT}">{html.escape(b)}</td></tr>'
        for a, b in rest
    )
    table = f'<table style="border:none;margin:4px 0 0 0;color:inherit;font-size:inherit">{body}</table>' if body else ""
    picture = svg(result) if result.wrong is not None and result.wrong.dim() else ""
    return (
        f'<div style="border-left:5px solid {colour};padding:4px 12px;font-family:var(--jp-code-font-family,monospace);'
        f'font-size:13px;color:var(--jp-content-font-color1,#111);display:flex;gap:20px;flex-wrap:wrap">'
        f'<div style="flex:1 1 460px"><div style="font-weight:bold;white-space:pre-wrap">{head}</div>{table}</div>{picture}</div>'
    )


def svg(result: Result) -> str:
    """Rows down, the other axes across; a wrong entry is orange with a cross, a right one pale."""
    axis, grid = rows_of(result)
    if result.wrong.dim() == 3 and grid.shape[1] > 40:  # a cube: show for each row and first key whether anything is wrong
        axes = result.exercise.axes.split()
        main = axes.index("i") if "i" in axes else 0
        cube = result.wrong.movedim(main, 0)
        grid = cube.any(-1)
    grid = grid[:40, :40]
    n, m = grid.shape
    size = max(4, min(16, 200 // max(n, m)))
    cells = []
    for r in range(n):
        for c in range(m):
            x, y = c * size, r * size
            bad = bool(grid[r, c])
            cells.append(f'<rect x="{x}" y="{y}" width="{size - 1}" height="{size - 1}" fill="{"#D55E00" if bad else "#DDE6EC"}"/>')
            if bad and size >= 8:
                arm = size - 5
                cells.append(f'<path d="M{x + 2} {y + 2}l{arm} {arm}m0 {-arm}l{-arm} {arm}" stroke="#fff" stroke-width="1.2"/>')
    share = f"{int(result.wrong.sum())} of {result.wrong.numel()} numbers wrong"
    label = f"Where the output is wrong: rows are {axis}; {share}"
    return (
        f'<div style="flex:0 0 auto"><svg role="img" aria-label="{label}" width="{m * size}" height="{n * size}" '
        f'style="background:#fff;padding:3px">{"".join(cells)}</svg>'
        f'<div style="font-size:11px">rows: {axis}; crosses: wrong<br>{share}</div></div>'
    )
