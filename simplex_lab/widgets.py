"""Thin ipywidgets shells over the figures of ``plots``: sliders, one picture, one sentence."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as w
from IPython.display import display
from matplotlib import pyplot as plt

from simplex_lab.show import png


@dataclass(frozen=True)
class Slider:
    """A whole-number or real slider, or a choice where ``options`` is given."""

    label: str
    start: object
    low: float = 0
    high: float = 1
    step: float = 1
    options: tuple = ()

    def control(self):
        style, layout = {"description_width": "150px"}, w.Layout(width="460px")
        common = {"description": self.label, "style": style, "layout": layout}
        if self.options:
            return w.Dropdown(options=self.options, value=self.start, **common)
        kind = w.IntSlider if isinstance(self.start, int) else w.FloatSlider
        return kind(value=self.start, min=self.low, max=self.high, step=self.step, continuous_update=True, **common)


def explorer(draw: Callable, say: Callable[..., str], **sliders: Slider):
    """A figure that follows its sliders. ``draw(**values)`` gives the figure, ``say(**values)`` one sentence: its alt text and caption.

    The first frame is stored in the notebook as a picture, so that the point is seen without a kernel.
    """
    controls = {name: s.control() for name, s in sliders.items()}
    picture, sentence = w.HTML(), w.HTML()
    first = {}

    def redraw(_=None):
        values = {name: c.value for name, c in controls.items()}
        fig, text = draw(**values), say(**values)
        data, width = png(fig, dpi=120), int(fig.get_figwidth() * 96)
        plt.close(fig)
        source = base64.b64encode(data).decode()
        alt = html.escape(text, quote=True)
        picture.value = f'<img class="explorer" width="{width}" style="max-width:100%" alt="{alt}" src="data:image/png;base64,{source}">'
        sentence.value = f'<div style="line-height:1.5;max-width:820px">{html.escape(text)}</div>'
        first.setdefault("png", data)
        first.setdefault("text", text)
        first.setdefault("width", width)

    for c in controls.values():
        c.observe(redraw, "value")
    redraw()
    show_widget(w.VBox([*controls.values(), picture, sentence]), first["text"], image=first["png"], width=first["width"])


def show_widget(widget, text: str, *, image: bytes = b"", width: int = 0, markdown: str = "") -> None:
    """Display a widget together with what a reader without a running kernel sees: a picture, markdown or plain text."""
    bundle = {
        "application/vnd.jupyter.widget-view+json": {"model_id": widget.model_id, "version_major": 2, "version_minor": 0},
        "text/plain": text,
    }
    metadata = {}
    if image:
        bundle["image/png"] = image
        metadata["image/png"] = {"alt": text, "width": width}
    if markdown:
        bundle["text/markdown"] = markdown
    display(bundle, raw=True, metadata=metadata)
