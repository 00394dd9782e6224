"""Questions that answer back: ``predict`` asks before a result is shown, ``quiz`` closes a chapter.

Questions live in ``simplex_lab/quizzes/NN.toml``; every option has its own reply.
"""

from __future__ import annotations

import html
import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "quizzes"


@dataclass(frozen=True)
class Option:
    text: str
    reply: str
    right: bool


@dataclass(frozen=True)
class Question:
    ask: str
    options: tuple[Option, ...]


def load(chapter: str) -> tuple[Question, ...]:
    """The questions of a chapter.

    Raises:
        ValueError: no such quiz, or a question without exactly one right option.
    """
    file = FOLDER / f"{chapter}.toml"
    if not file.exists():
        raise ValueError(f"chapter={chapter!r}: quizzes exist for {', '.join(sorted(f.stem for f in FOLDER.glob('*.toml')))}")
    try:
        questions = [
            Question(q["ask"], tuple(Option(o["text"], o["reply"], o.get("right", False)) for o in q["option"]))
            for q in tomllib.loads(file.read_text(encoding="utf-8"))["question"]
        ]
    except KeyError as missing:
        raise ValueError(f"{file.name}: an entry {missing} is missing") from None
    for q in questions:
        if sum(o.right for o in q.options) != 1:
            raise ValueError(f"{file.name}: {q.ask!r} has {sum(o.right for o in q.options)} right options, expected 1")
    return tuple(questions)


class Prediction:
    """An answer given before the result was seen; :meth:`reveal` shows the two next to each other."""

    def __init__(self, question: str, options: tuple[str, ...]):
        self.question, self.options, self.chosen = question, options, None

    def choose(self, option: str) -> None:
        self.chosen = option

    def reveal(self, result: str) -> None:
        """Print the prediction beside ``result``."""
        if self.chosen is None:
            print(f"It is {result}. (You had not predicted anything.)")
        elif self.chosen == result:
            print(f"You predicted {self.chosen}, and so it is.")
        else:
            print(f"You predicted {self.chosen}. It is {result}.")


def predict(question: str, *options: str) -> Prediction:
    """Ask for a prediction with one button an option; it is remembered until ``reveal``."""
    import ipywidgets as w

    prediction = Prediction(question, options)
    buttons = [w.ToggleButton(description=o, layout=w.Layout(width="auto", min_width="64px")) for o in options]
    said = w.HTML("")

    def chosen(change):
        if not change["new"]:
            return
        for b in buttons:
            if b is not change["owner"]:
                b.value = False
        prediction.choose(change["owner"].description)
        said.value = f"Noted: {html.escape(prediction.chosen)}. Now run the next cell."

    for b in buttons:
        b.observe(chosen, "value")
    row = w.Box(buttons, layout=w.Layout(flex_flow="row wrap"))
    text = f"Predict: {question}\n" + "\n".join(f"  ( ) {o}" for o in options)
    _display(w.VBox([w.HTML(f"<b>Predict.</b> {html.escape(question)}"), row, said]), text)
    return prediction


def quiz(chapter: str) -> None:
    """Show the questions of a chapter; a click on an option answers with that option's own reply."""
    import ipywidgets as w

    questions = load(chapter)
    blocks = [_block(n, q) for n, q in enumerate(questions, 1)]
    _display(w.VBox(blocks), "\n\n".join(_as_text(n, q) for n, q in enumerate(questions, 1)), _as_markdown(questions))


def _block(n: int, question: Question):
    import ipywidgets as w

    reply, buttons = w.HTML(""), []

    def answer(button):
        option = question.options[buttons.index(button)]
        colour, word = ("#00734F", "Right.") if option.right else ("#A84300", "Not quite.")
        for b in buttons:
            b.style.font_weight = "bold" if b is button else "normal"
        reply.value = (
            f'<div style="border-left:5px solid {colour};padding:2px 10px;line-height:1.5"><b>{word}</b> {_code(option.reply)}</div>'
        )

    for o in question.options:
        button = w.Button(description=o.text.replace("`", ""), layout=w.Layout(width="auto", max_width="100%", height="auto"))
        button.on_click(answer)
        buttons.append(button)
    ask = w.HTML(f'<div style="line-height:1.5"><b>{n}.</b> {_code(question.ask)}</div>')
    return w.VBox([ask, *buttons, reply], layout=w.Layout(margin="0 0 14px 0", align_items="flex-start"))


def _as_text(n: int, question: Question) -> str:
    return f"{n}. {question.ask}\n" + "\n".join(f"   ( ) {o.text}" for o in question.options)


def _as_markdown(questions) -> str:
    """For readers without a running kernel: replies behind a fold."""
    out = []
    for n, q in enumerate(questions, 1):
        options = "\n".join(f"   - {o.text}" for o in q.options)
        replies = "".join(f"<li>{_code(o.text)}: {'<b>right.</b> ' if o.right else ''}{_code(o.reply)}</li>" for o in q.options)
        out.append(f"{n}. {q.ask}\n{options}\n\n   <details><summary>Replies</summary><ul>{replies}</ul></details>\n")
    return "\n".join(out)


def _code(text: str) -> str:
    """Escape, and set what stands between backticks as code."""
    parts = html.escape(text, quote=False).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _display(widget, text: str, markdown: str = "") -> None:
    from simplex_lab.widgets import show_widget

    show_widget(widget, text, markdown=markdown)
