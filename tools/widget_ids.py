"""Widgets get random ids in every run; here they get ids that depend on the notebook alone."""

from __future__ import annotations

import hashlib
import json
import re

from nbformat import NotebookNode, from_dict

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def rename(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook with its widget ids replaced, in the order in which a reader meets them."""
    state = widget_state(notebook)
    for model in state.values():
        if "msg_id" in model.get("state", {}):
            model["state"]["msg_id"] = ""
    text = json.dumps(notebook)
    new = {old: hashlib.sha256(f"{name}:{n}".encode()).hexdigest()[:32] for n, old in enumerate(_order(notebook, state))}
    return from_dict(json.loads(ID.sub(lambda found: new.get(found[0], found[0]), text)))


def widget_state(notebook: NotebookNode) -> dict:
    """The stored state of each widget, by id."""
    return notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})


def _order(notebook: NotebookNode, state: dict) -> list[str]:
    """First what the cells show, then what that refers to, then the rest, sorted by content."""
    shown = _shown(notebook)
    known = set(state) | set(shown)
    order: list[str] = []

    def walk(start: list[str]) -> None:
        waiting = list(start)
        while waiting:
            widget = waiting.pop(0)
            if widget not in order:
                order.append(widget)
                waiting += _references(state.get(widget), known)

    walk(shown)
    rest = [widget for widget in state if widget not in order]
    held = {other for widget in rest for other in _references(state[widget], known) if other != widget}
    walk(sorted((w for w in rest if w not in held), key=lambda w: _content(w, state, known, ())))
    walk(sorted((w for w in rest if w in held), key=lambda w: _content(w, state, known, ())))
    return order


def _shown(notebook: NotebookNode) -> list[str]:
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [output["data"][VIEW]["model_id"] for output in outputs if VIEW in output.get("data", {})]


def _references(model: dict | None, known: set[str]) -> list[str]:
    return [found for found in ID.findall(json.dumps(model, sort_keys=True)) if found in known] if model else []


def _content(widget: str, state: dict, known: set[str], above: tuple[str, ...]) -> str:
    """What a widget says, with the content of its parts in place of their ids."""
    if widget in above or widget not in state:
        return "?"

    def part(found: re.Match) -> str:
        return _content(found[0], state, known, (*above, widget)) if found[0] in known else found[0]

    return hashlib.sha256(ID.sub(part, json.dumps(state[widget], sort_keys=True)).encode()).hexdigest()
