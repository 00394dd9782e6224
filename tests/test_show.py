"""What is put on a page: sources, figures, questions."""

import ast
import inspect
import io
import json
import re
import textwrap

import IPython.display
import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from simplex_lab import meter, model, plots, quiz, reference, show, tasks, train, windows
from simplex_lab.roofline import Chip

mpl.use("Agg")
P = torch.full((4, 4), 0.25)
CUBE = torch.full((5, 5, 5), 0.04)
CURVE = ([10, 20], [0.5, 0.9])
TRACE = [(3, k0, torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([[0.5, -0.5]])) for k0 in (0, 2)]
FIGURES = {
    "simplices": plots.simplices,
    "hollow_and_filled": lambda: plots.hollow_and_filled({("a", "b"): torch.ones(2, 2)}, torch.ones(2, 2, 2)),
    "task_strips": lambda: plots.task_strips({"parity": {"2-simplicial, 1 layer": [0.9, 1.0]}}, {"parity": 0.5}),
    "edge_and_triangle": lambda: plots.edge_and_triangle(),
    "match_sequence": lambda: plots.match_sequence(torch.tensor([1, 2, 3, 4]), 9, 3, [(1, 2)]),
    "match_sequence without a match": lambda: plots.match_sequence(torch.tensor([1, 2]), 9, 1, []),
    "match_sequence without room for all": lambda: plots.match_sequence(torch.zeros(5, dtype=torch.int), 9, 4, 5 * [(0, 1)]),
    "accuracy_curves": lambda: plots.accuracy_curves({arm: [CURVE, CURVE] for arm in plots.ARM_LOOK}, 0.6),
    "accuracy_curves without a second seed": lambda: plots.accuracy_curves({"dot product, 1 layer": [CURVE]}, 0.6),
    "seed_strip": lambda: plots.seed_strip({arm: [0.8, 0.9] for arm in plots.ARM_LOOK}, 0.7),
    "weight_matrix": lambda: plots.weight_matrix(P, row=1),
    "weight_matrix without neighbours": lambda: plots.weight_matrix(P[:1, :1]),
    "softmax_overflow": lambda: plots.softmax_overflow([0, 1], [torch.nan, 0.5], [0.5, 0.5]),
    "logits_memory": lambda: plots.logits_memory([128, 512], {"pairs": [1e4, 1e6]}, {"a laptop": 1e9}),
    "logits_memory without limits": lambda: plots.logits_memory([128, 512], {"pairs": [1e4, 1e6], "triples": [1e6, 1e9]}, {}),
    "pair_plane": lambda: plots.pair_plane(CUBE, 2, w1=2, w2=3),
    "pair_plane without windows": lambda: plots.pair_plane(CUBE, 4),
    "pair_of_planes": lambda: plots.pair_of_planes(P[:2, :2], P[:2, :2], ("a", "b")),
    "memory_bars": lambda: plots.memory_bars({"a": (1e6, 2e6)}),
    "rotation_scores": lambda: plots.rotation_scores(
        [0, 180, 360], {"trilinear": [1, 0, 1], "determinant": [2, 2, 2]}, 90, torch.eye(3) + 0.1
    ),
    "weight_strip": lambda: plots.weight_strip([0.0, 0.5], [False, True], 97),
    "window_budget": lambda: plots.window_budget(64, 32, 8192, 1.6e4, 8e3, [("what", "dot product", "triples"), ("logits", "1 k", "2 M")]),
    "context_cost": lambda: plots.context_cost([1024, 2048, 4096], {"pairs": [2e3, 4e3, 8e3], "triples": [4e3] * 3}, {"2k": 2048}, at=1024),
    "layer_stacks": lambda: plots.layer_stacks({"a": ("dot", "simplicial"), "b": ("dot",)}),
    "roofline": lambda: plots.roofline(Chip(1000.0, 60.0, 4.0, 4.0), {"a": (16.0, "dot"), "b": (400.0, "triples")}),
    "latencies": lambda: plots.latencies({(512, 32): 55.0, (256, 32): 28.0}),
    "executed_work": lambda: plots.executed_work({"32 x 32": [1, 2.2]}, [1, 16]),
    "tile_walk": lambda: plots.tile_walk(12, 9, w1=4, w2=8, block_k=4),
    "walk_state": lambda: plots.walk_state(4, 3, TRACE, w1=1, w2=4, block_k=2, step=1),
    "walk_state without a step": lambda: plots.walk_state(4, 3, TRACE, w1=1, w2=4, block_k=2, step=0),
}


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(IPython.display, "display", lambda bundle, **more: found.append((bundle, more.get("metadata", {}))))
    return found


SOURCES = [
    windows.visible,
    reference.two_simplicial,
    reference.Attended,
    model.Model,
    model.Layer.forward,
    tasks.Match,
    meter.memory_of,
]


DECORATED = train.accuracy


def without_docstrings(code):
    """The code's meaning: its syntax tree without the outermost docstring."""
    tree = ast.parse(textwrap.dedent(code)).body[0]
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    return ast.dump(tree)


@pytest.mark.parametrize("docstring", [True, False])
@pytest.mark.parametrize("obj", [*SOURCES, DECORATED], ids=lambda obj: obj.__qualname__)
def test_a_source_is_shown_with_its_real_place(obj, docstring, shown):
    show.show_source(obj, docstring=docstring)
    ((bundle, _),) = shown
    head, code = bundle["text/plain"].split("\n", 1)
    path, start, end = re.fullmatch(r"(simplex_lab/\w+\.py), lines (\d+)-(\d+)", head).groups()
    lines = (show.ROOT / path).read_text(encoding="utf-8").splitlines()
    there = textwrap.dedent("\n".join(lines[int(start) - 1 : int(end)]))
    assert re.search(rf"^(def|class) {obj.__name__}\b", there, re.MULTILINE)
    assert without_docstrings(code) == without_docstrings(there)
    assert there.endswith(code.splitlines()[-1])
    if docstring:
        assert code == there
    start, width, rest = re.split(r"<div style=\"min-width: (\d+)em\">\n", bundle["text/markdown"])
    assert (start, rest) == (f"*{head}*\n\n", f"\n```python\n{code}\n```\n\n</div>")
    assert 0.6 * max(map(len, code.splitlines())) < int(width) <= 91  # room for the longest line; ruff bounds it
    assert str(show.ROOT) not in "".join(bundle.values())


@pytest.mark.parametrize("obj", [obj for obj in SOURCES if obj.__doc__], ids=lambda obj: obj.__qualname__)
def test_docstrings_are_left_out_unless_asked_for(obj, shown):
    show.show_source(obj)
    show.show_source(obj, docstring=True)
    short, long = (ast.get_docstring(ast.parse(bundle["text/plain"].split("\n", 1)[1]).body[0]) for bundle, _ in shown)
    assert short is None
    assert long == inspect.cleandoc(obj.__doc__)


def test_a_source_from_elsewhere_shows_no_folder(shown):
    show.show_source(json.dumps)
    assert re.match(r"__init__\.py, lines \d+-\d+\n", shown[0][0]["text/plain"])


def test_a_diff_shows_what_changed_and_not_what_moved_inwards(shown):
    def before(x):
        y = x + 1
        return y

    def after(x):
        for _ in range(2):
            y = x + 1
        return y

    show.show_diff(before, after)
    ((bundle, _),) = shown
    lines = bundle["text/plain"].splitlines()
    assert [line for line in lines if line[0] in "+-"] == ["- def before(x):", "+ def after(x):", "+     for _ in range(2):"]
    assert "          y = x + 1" in lines
    assert f"```diff\n{bundle['text/plain']}\n```" in bundle["text/markdown"]


def test_a_figure_carries_its_alt_text_and_is_closed(shown):
    show.show_figure(plots.edge_and_triangle(), "an edge and a triangle", caption="Record: x.csv")
    (bundle, metadata), (caption, _) = shown
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == "an edge and a triangle"
    picture = Image.open(io.BytesIO(bundle["image/png"]))
    assert picture.width == 2 * metadata["image/png"]["width"]
    assert caption["text/markdown"] == "Record: x.csv"
    assert plt.get_fignums() == []


def test_the_same_figure_gives_the_same_bytes(closed):
    one, same, other = (show.png(plots.pair_plane(CUBE, i)) for i in (2, 2, 3))
    assert one == same
    assert one != other


def corner(fig):
    return Image.open(io.BytesIO(show.png(fig, dpi=60))).convert("RGBA").getpixel((0, 0))


def test_a_picture_stands_on_opaque_white(closed):
    """Whatever the figure's own background is, and however many colours have to share the 256."""
    fig, ax = plt.subplots()
    ax.imshow(np.random.default_rng(0).random((80, 80, 3)))
    assert corner(fig) == (255, 255, 255, 255)
    fig.patch.set_facecolor("black")
    assert corner(fig) == (255, 255, 255, 255)
    fig.patch.set_facecolor("none")
    assert corner(fig) == (255, 255, 255, 255)


def test_the_meaningful_colours_survive_the_palette(closed):
    picture = Image.open(io.BytesIO(show.png(plots.pair_plane(CUBE, 2, w1=2, w2=3), dpi=96))).convert("RGB")
    colours = {f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in picture.getcolors(2**20)}
    assert {plots.QUERY, plots.KEY1, plots.KEY2} <= colours


@pytest.fixture
def closed():
    """Leaves no figure open."""
    yield
    plt.close("all")


@pytest.mark.parametrize("styled", [False, True], ids=["plain", "styled"])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_and_closes(name, styled):
    with mpl.rc_context():
        if styled:
            plots.style()
        fig = FIGURES[name]()
        assert isinstance(fig, Figure)
        assert plt.get_fignums() == [fig.number]
        drawn = np.asarray(Image.open(io.BytesIO(show.png(fig, dpi=40))).convert("L"))
        plt.close(fig)
    assert plt.get_fignums() == []
    assert (drawn < 200).mean() > 0.002


def test_every_figure_function_is_tried():
    public = {n for n, f in vars(plots).items() if callable(f) and getattr(f, "__module__", "") == plots.__name__ and n[0] != "_"}
    assert public - {"style"} == {n.split(" without")[0] for n in FIGURES}


# Colours carry meaning


def faces(shapes):
    return {to_hex(shape.get_facecolor()).upper() for shape in shapes}


def axis_colours(ax):
    """Colour of the label and of the numbers of the x and the y axis."""
    return [{to_hex(text.get_color()).upper() for text in (axis.label, *axis.get_ticklabels())} for axis in (ax.xaxis, ax.yaxis)]


def test_colours_are_those_of_the_style():
    assert (plots.QUERY, plots.KEY1, plots.KEY2, plots.SIMPLICIAL) == ("#0072B2", "#D55E00", "#009E73", "#7B3FA0")
    assert (plots.KEY1_TEXT, plots.KEY2_TEXT) == ("#A84300", "#00734F")


def test_tokens_have_the_colours_of_their_letters(closed):
    colours = {"i": plots.QUERY, "j": plots.KEY1, "k": plots.KEY2}
    for ax, letters in zip(plots.edge_and_triangle().axes, ("ij", "ijk"), strict=True):
        circles = {p.center: to_hex(p.get_facecolor()).upper() for p in ax.patches if isinstance(p, mpl.patches.Circle)}
        found = {t.get_text(): circles[t.get_position()] for t in ax.texts if t.get_position() in circles}
        assert found == {letter: colours[letter] for letter in letters}


def test_the_query_of_a_sequence_is_blue(closed):
    ax = plots.match_sequence(torch.tensor([4, 5, 3, 2]), 9, 2, [(0, 1)]).axes[0]
    rings = {p.center: to_hex(p.get_edgecolor()).upper() for p in ax.patches if isinstance(p, mpl.patches.Circle)}
    assert [rings[n, 0] for n in range(4)] == [plots.SIMPLICIAL, plots.SIMPLICIAL, plots.QUERY, plots.DOT]
    (triangle,) = (p for p in ax.patches if isinstance(p, mpl.patches.Polygon))
    assert sorted(x for x, _ in triangle.get_xy()[:3]) == [0, 1, 2]
    assert to_hex(triangle.get_facecolor()).upper() == plots.SIMPLICIAL


def test_a_weight_matrix_has_blue_queries_and_orange_keys(closed):
    heat, bars = plots.weight_matrix(P, row=1).axes[:2]
    assert axis_colours(heat) == [{plots.KEY1_TEXT}, {plots.QUERY}]
    (frame,) = heat.patches
    assert (to_hex(frame.get_edgecolor()).upper(), frame.get_y(), frame.get_height()) == (plots.QUERY, 0.5, 1)
    assert faces(bars.patches) == {plots.KEY1}
    assert axis_colours(bars)[0] == {plots.KEY1_TEXT}


def test_a_pair_plane_has_orange_j_green_k_and_a_blue_query(closed):
    ax, by_j, _, by_k = (plots.pair_plane(CUBE, 2, w1=2, w2=3).axes[n] for n in (0, 1, 2, 3))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("second key k", "first key j")
    assert axis_colours(ax) == [{plots.KEY2_TEXT}, {plots.KEY1_TEXT}]
    assert faces(by_j.patches) == {plots.KEY1}
    assert faces(by_k.patches) == {plots.KEY2}
    frame = next(p for p in ax.patches if isinstance(p, mpl.patches.Rectangle))
    assert to_hex(frame.get_edgecolor()).upper() == plots.QUERY
    assert to_hex(ax.lines[0].get_color()).upper() == plots.QUERY


def test_the_two_small_planes_have_the_same_axes(closed):
    for ax in plots.pair_of_planes(P[:2, :2], P[:2, :2], ("a", "b")).axes:
        assert axis_colours(ax) == [{plots.KEY2_TEXT}, {plots.KEY1_TEXT}]


@pytest.mark.parametrize("name", ["accuracy_curves", "seed_strip"])
def test_dot_products_are_grey_and_2_simplicial_models_purple(name, closed):
    ax = FIGURES[name]().axes[0]
    lines = {(to_hex(line.get_color()).upper(), line.get_marker()) for line in ax.lines if line.get_marker() not in ("None", None, "")}
    assert lines == {(plots.SIMPLICIAL, "o"), (plots.DOT, "s"), (plots.DOT, "^")}
    dashed = [line for line in ax.lines if line.get_color() == "black"]
    assert [line.get_linestyle() for line in dashed] == ["--"]
    colours = {t.get_text(): to_hex(t.get_color()).upper() for t in ax.texts}
    assert {arm: colours[arm] for arm in plots.ARM_LOOK} == {arm: look[1] for arm, look in plots.ARM_LOOK.items()}


# Figures show the numbers they are given


@pytest.mark.parametrize(("w1", "w2"), [(2, 3), (3, 2), (None, 1), (9, 9)])
@pytest.mark.parametrize("i", [0, 2, 4])
def test_a_pair_plane_shows_what_the_query_sees(i, w1, w2, closed):
    gen = torch.Generator().manual_seed(0)
    see = windows.visible_pairs(5, w1, w2)
    cube = torch.rand(5, 5, 5, generator=gen).masked_fill(~see, 0)
    ax, by_j, _, by_k = plots.pair_plane(cube, i, w1=w1, w2=w2).axes[:4]
    plane, hidden = (np.ma.filled(image.get_array().astype(float), np.nan) for image in ax.images)
    np.testing.assert_allclose(plane, cube[i].double())
    assert np.array_equal(np.isnan(hidden), see[i].numpy())
    np.testing.assert_allclose([bar.get_width() for bar in by_j.patches], cube[i].sum(1), rtol=1e-6)
    np.testing.assert_allclose([bar.get_height() for bar in by_k.patches], cube[i].sum(0), rtol=1e-6)


def test_the_thick_curve_is_the_median_of_the_seeds(closed):
    curves = [([10, 20], [0.5, last]) for last in (0.6, 0.9, 0.7)]
    ax = plots.accuracy_curves({"dot product, 1 layer": curves}, 0.55).axes[0]
    thick = max((line for line in ax.lines if line.get_color() == plots.DOT), key=lambda line: line.get_linewidth())
    assert list(thick.get_ydata()) == pytest.approx([0.5, 0.7])
    assert sum(line.get_color() == plots.DOT for line in ax.lines) == 4
    assert [list(line.get_ydata()) for line in ax.lines if line.get_color() == "black"] == [[0.55, 0.55]]


def test_every_row_of_memory_is_drawn_or_refused(closed):
    rows = {name: [1e6, 1e7] for name in ("pairs", "triples", "tiles")}
    try:
        ax = plots.logits_memory([128, 512], rows, {}).axes[0]
    except ValueError:
        return
    assert {t.get_text() for t in ax.texts} == set(rows)


# Quizzes


@pytest.mark.parametrize("chapter", sorted(f.stem for f in quiz.FOLDER.glob("*.toml")))
def test_a_quiz_has_five_questions_with_a_reply_for_each_option(chapter):
    questions = quiz.load(chapter)
    assert len(questions) == 5
    for q in questions:
        assert len({o.text for o in q.options}) == len(q.options) >= 3
        assert sum(o.right for o in q.options) == 1
        assert len({o.reply for o in q.options}) == len(q.options)
        assert all(len(o.reply) > 20 for o in q.options)


def test_every_quiz_belongs_to_a_chapter():
    sources = {p.name[:2] for p in (show.ROOT / "chapters" / "src").glob("*.py")}
    assert {f.stem for f in quiz.FOLDER.glob("*.toml")} <= sources


def test_the_right_option_is_not_always_at_one_place():
    places = [[o.right for o in q.options].index(True) for f in quiz.FOLDER.glob("*.toml") for q in quiz.load(f.stem)]
    assert max(places.count(p) for p in set(places)) <= 0.7 * len(places)


RIGHT = '[[question.option]]\ntext = "a"\nreply = "r"\nright = true\n'
WRONG = '[[question.option]]\ntext = "b"\nreply = "r"\n'
ASK = '[[question]]\nask = "how many?"\n'


def load_text(text, folder, monkeypatch):
    monkeypatch.setattr(quiz, "FOLDER", folder)
    (folder / "09.toml").write_text(text, encoding="utf-8")
    return quiz.load("09")


def test_a_quiz_is_read_as_written(tmp_path, monkeypatch):
    (question,) = load_text(ASK + WRONG + RIGHT, tmp_path, monkeypatch)
    assert question == quiz.Question("how many?", (quiz.Option("b", "r", False), quiz.Option("a", "r", True)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ASK + RIGHT + RIGHT, r"09\.toml: 'how many\?' has 2 right options, expected 1"),
        (ASK + WRONG + WRONG, r"09\.toml: 'how many\?' has 0 right options, expected 1"),
        (ASK + "[[question.option\n", "line 3"),
    ],
    ids=["two right", "none right", "no TOML"],
)
def test_a_malformed_quiz_is_refused(text, says, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=says):
        load_text(text, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "text",
    [
        "title = 'none'\n",
        ASK,
        ASK + RIGHT.replace('reply = "r"\n', ""),
        ASK + RIGHT.replace('text = "a"\n', ""),
        ASK.replace("ask", "say") + RIGHT,
    ],
    ids=["question", "option", "reply", "text", "ask"],
)
def test_a_missing_entry_is_named_with_its_file(text, tmp_path, monkeypatch, request):
    with pytest.raises(ValueError, match=rf"09\.toml.*{request.node.callspec.id}"):
        load_text(text, tmp_path, monkeypatch)


def test_an_unknown_quiz_lists_the_known(tmp_path, monkeypatch):
    load_text(ASK + RIGHT, tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"chapter='42': quizzes exist for 09$"):
        quiz.load("42")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [(None, "It is b. (You had not predicted anything.)"), ("b", "You predicted b, and so it is."), ("a", "You predicted a. It is b.")],
)
def test_a_prediction_is_remembered(chosen, said, capsys):
    prediction = quiz.Prediction("?", ("a", "b"))
    if chosen:
        prediction.choose(chosen)
    prediction.reveal("b")
    assert capsys.readouterr().out.strip() == said
