"""The exercise card: objective, contract and expected output as markdown, from the object that the check uses."""

from __future__ import annotations

import torch

from simplex_lab.checks.spec import Exercise, find


def card(id: str) -> str:
    """Markdown for exercise ``id``; the notebook builder puts it in place of ``<!-- card 03.2 -->``."""
    e = find(id)
    level = "●" * e.difficulty + "○" * (3 - e.difficulty)
    rows = "\n".join(f"| `{a.name}` | {_shape(a)} | {a.dtype} | {a.promise} |" for a in e.arguments)
    back = f"| fills `{e.writes}` | | | {e.returns.promise} |" if e.writes else _returns(e.returns)
    signature = f"{e.entry}({', '.join(a.name for a in e.arguments)})"
    return (
        f"### {e.id}  {e.title}\n\n"
        f"{e.objective}\n\n"
        f"Difficulty {level} · about {e.minutes} minutes · can be verified on: {e.verified}\n\n"
        f"| `{signature}` | shape | dtype | promise |\n|---|---|---|---|\n{rows}\n{back}\n\n"
        f"On this small case\n\n```python\n{_inputs(e)}\n```\n\nit gives{_output(answer(e))}"
    )


def answer(e: Exercise) -> torch.Tensor:
    """The right output of the hand case, in fp64."""
    args = {n: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for n, v in e.hand.args.items()}
    value = e.answer(**args)
    return value if isinstance(value, torch.Tensor) else torch.tensor(value)


def trimmed(x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Without the zeros at the end of all rows, and how many these were: 0 if they are few."""
    if x.dim() < 2 or not x.is_floating_point():
        return x, 0
    used = [n for n in range(x.shape[-1]) if x[..., n].any()]
    cut = x.shape[-1] - (used[-1] + 1 if used else 1)
    return (x[..., :-cut], cut) if cut >= 8 else (x, 0)


def _output(x: torch.Tensor) -> str:
    kept, cut = trimmed(x)
    return (f", followed by {cut} zeros in each row," if cut else "") + f"\n\n```\n{show(kept)}\n```"


def show(x: torch.Tensor) -> str:
    """A small tensor as nested lists with four decimals at the most."""
    if x.dim() == 0:
        value = x.item()
        return str(round(value, 4) + 0.0) if isinstance(value, float) else str(value)
    if x.dim() == 1:
        return "[" + ", ".join(show(v) for v in x) + "]"
    return "[" + (",\n" + " ").join(show(r).replace("\n", "\n ") for r in x) + "]"


def _returns(r) -> str:
    return f"| returns `{r.name}` | {_shape(r)} | {r.dtype} | {r.promise} |"


def _shape(a) -> str:
    return f"`[{a.shape}]`" if a.shape else "text" if a.dtype == "str" else "a number"


def _inputs(e: Exercise) -> str:
    out = []
    for name, value in e.hand.args.items():
        if isinstance(value, torch.Tensor):
            kept, cut = trimmed(value)
            made = f"{name} = " + ("pad(" if cut else "") + "torch.tensor("
            text = show(kept).replace("\n", "\n" + " " * len(made))
            out.append(f"{made}{text})" + (f", (0, {cut}))" if cut else ""))
        else:
            lines = isinstance(value, str) and "\n" in value
            out.append(f'{name} = """{value}"""' if lines else f"{name} = {value!r}")
    if e.writes:
        out.append(f"{e.writes} = torch.full({tuple(answer(e).shape)}, torch.nan)")
    padded = any("pad(" in line for line in out)
    return "\n".join(["pad = torch.nn.functional.pad  # zeros behind"] * padded + out)
