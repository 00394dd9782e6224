"""Figures of chapters 02 and 04 to 06: what is drawn is what was given."""

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

from simplex_lab import explorers, plots, tiled


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def numbers(ax):
    return [int(t.get_text()) for t in ax.texts if t.get_text().isdigit()]


@pytest.mark.parametrize(("outer", "second"), [("k", (7, 2)), ("j", (6, 6))])  # the strip numbered 2: the next first key, or the next tile
def test_the_walk_is_numbered_in_the_order_of_its_loops(outer, second):
    (ax,) = plots.tile_walk(12, 9, w1=4, w2=8, block_k=4, outer=outer).axes
    assert numbers(ax) == list(range(1, 9))
    at = next(t for t in ax.texts if t.get_text() == "2")
    assert (at.get_position()[1], round(at.get_position()[0] - 1.5)) == second


def test_the_state_s_bars_are_acc_over_l_of_that_step():
    gen = torch.Generator().manual_seed(0)
    x = [torch.randn(8, 5, generator=gen, dtype=torch.float64) for _ in range(5)]
    trace, row = [], torch.tensor([7])
    o, lse2 = tiled.forward_program(x[0][row], *x[1:], i=row, w1=3, w2=6, block_k=2, trace=trace)
    assert len(trace) == 9
    for step in (1, 5, 9):
        _, state, out = plots.walk_state(8, 7, trace, w1=3, w2=6, block_k=2, step=step).axes
        _, _, _, l, acc = trace[step - 1]
        assert [b.get_height() for b in out.patches] == pytest.approx((acc[0] / l).tolist())
        assert len(state.lines[1].get_ydata()) == step
    assert state.lines[1].get_ydata()[-1] == pytest.approx(lse2.item())
    assert [b.get_height() for b in out.patches] == pytest.approx(o[0].tolist())


def test_the_budget_s_bars_are_the_costs_given():
    _, bars, numbers = plots.window_budget(
        64, 32, 8192, 16386.0, 8192.0, [("what", "dot product", "triples"), ("logits", "1 k", "2 M")]
    ).axes
    assert [t.get_text() for t in numbers.texts][3:] == ["logits", "1 k", "2 M"]
    assert [b.get_width() for b in bars.patches] == [16.386, 8.192]


@pytest.mark.parametrize(("number", "text"), [(7, "7"), (999.4, "999"), (999.6, "1 k"), (66.6e9, "66.6 G"), (2.2e12, "2.2 T")])
def test_long_numbers_are_shortened(number, text):
    assert explorers.short(number) == text


def test_latencies_are_sorted_by_pairs():
    (ax,) = plots.latencies({(512, 32): 55.0, (256, 32): 28.0}).axes
    assert [b.get_width() for b in ax.patches] == [28.0, 55.0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["256 x 32, 8k pairs", "512 x 32, 16k pairs"]


@pytest.mark.parametrize("explorer", ["walk_explorer", "budget_explorer", "rotation_explorer", "program_explorer", "roofline_explorer"])
def test_explorers_open_with_a_picture_and_a_sentence(explorer, monkeypatch):
    seen = {}
    monkeypatch.setattr(explorers, "explorer", lambda draw, say, **sliders: seen.update(draw=draw, say=say, sliders=sliders))
    getattr(explorers, explorer)()
    start = {name: s.start for name, s in seen["sliders"].items()}
    assert seen["draw"](**start).axes
    assert len(seen["say"](**start)) > 40
    assert len(start) <= 4


def test_a_simplex_joins_all_its_corners():
    axes = plots.simplices().axes
    edges = [sum(len(line.get_xdata()) == 2 and line.get_linestyle() == "-" for line in ax.lines) for ax in axes]
    assert edges == [0, 1, 3, 6]


def test_tables_of_pairs_and_triples_show_their_counts():
    seen = torch.arange(8).view(2, 2, 2)
    tables = {("a", "b"): seen.sum(2), ("a", "c"): seen.sum(1), ("b", "c"): seen.sum(0)}
    *pairs, triples = plots.hollow_and_filled(tables, seen).axes
    assert [numbers(ax) for ax in pairs] == [t.flatten().tolist() for t in tables.values()]
    assert [bar.get_height() for bar in triples.patches] == list(range(8))


def test_strips_hold_every_seed_and_the_guess_of_each_task():
    tasks = {"a": {"2-simplicial, 1 layer": [0.9, 1.0], "dot product, 1 layer": [0.6, 0.7]}, "b": {"dot product, 2 layers": [0.8]}}
    (ax,) = plots.task_strips(tasks, {"a": 0.55, "b": 0.65}).axes
    drawn = [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
    assert drawn == [[0.9, 1.0], [0.6, 0.7], [0.8]]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [0.55, 0.65]


def test_stacks_have_a_box_a_layer_and_a_triangle_for_triples():
    (ax,) = plots.layer_stacks({"one": ("dot", "simplicial", "dot"), "two": ("simplicial",)}).axes
    boxes = [p for p in ax.patches if isinstance(p, mpl.patches.Rectangle)]
    triangles = [p for p in ax.patches if isinstance(p, mpl.patches.Polygon)]
    assert [(round(b.get_x() + 0.33), round(b.get_y() - 0.1)) for b in boxes] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert [round(float(t.get_xy()[2, 0])) for t in triangles] == [0, 1]


def test_marked_pairs_are_circled():
    P = torch.full((4, 4, 4), 1 / 16)
    ax = plots.pair_plane(P, 3, marks=[(0, 2), (2, 0)]).axes[0]
    circles = [line.get_xydata()[0].tolist() for line in ax.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "none"]
    assert circles == [[2, 0], [0, 2]]
