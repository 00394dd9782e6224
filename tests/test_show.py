"""What is put on a page: sources, figures, questions."""

import io
import re

import IPython.display
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from simplex_lab import plots, quiz, reference, show, windows

P = torch.full((4, 4), 0.25)
CUBE = torch.full((5, 5, 5), 0.04)
CURVE = ([10, 20], [0.5, 0.9])
FIGURES = {
    "edge_and_triangle": lambda: plots.edge_and_triangle(),
    "match_sequence": lambda: plots.match_sequence(torch.tensor([1, 2, 3, 4]), 9, 3, [(1, 2)]),
    "match_sequence without a match": lambda: plots.match_sequence(torch.tensor([1, 2]), 9, 1, []),
    "accuracy_curves": lambda: plots.accuracy_curves({arm: [CURVE, CURVE] for arm in plots.ARM_LOOK}, 0.6),
    "seed_strip": lambda: plots.seed_strip({arm: [0.8, 0.9] for arm in plots.ARM_LOOK}, 0.7),
    "weight_matrix": lambda: plots.weight_matrix(P, row=1),
    "softmax_overflow": lambda: plots.softmax_overflow([0, 1], [torch.nan, 0.5], [0.5, 0.5]),
    "logits_memory": lambda: plots.logits_memory([128, 512], {"pairs": [1e4, 1e6]}, {"a laptop": 1e9}),
    "pair_plane": lambda: plots.pair_plane(CUBE, 2, w1=2, w2=3),
    "pair_of_planes": lambda: plots.pair_of_planes(P[:2, :2], P[:2, :2], ("a", "b")),
    "memory_bars": lambda: plots.memory_bars({"a": (1e6, 2e6)}),
}


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(IPython.display, "display", lambda bundle, **more: found.append((bundle, more.get("metadata", {}))))
    return found


@pytest.mark.parametrize("obj", [windows.visible, reference.two_simplicial])
def test_a_source_is_shown_with_its_real_place(obj, shown):
    show.show_source(obj)
    text = shown[0][0]["text/plain"]
    head, first = text.splitlines()[:2]
    path, start, end = re.fullmatch(r"(simplex_lab/\w+\.py), lines (\d+)-(\d+)", head).groups()
    lines = (show.ROOT / path).read_text().splitlines()
    assert lines[int(start) - 1] == first
    assert lines[int(end) - 1].strip() == text.splitlines()[-1].strip()
    assert '"""' not in text
    assert str(show.ROOT) not in text


def test_a_docstring_is_shown_when_asked_for(shown):
    show.show_source(windows.visible, docstring=True)
    assert '"""' in shown[0][0]["text/plain"]


def test_a_figure_carries_its_alt_text_and_is_closed(shown):
    show.show_figure(plots.edge_and_triangle(), "an edge and a triangle", caption="Record: x.csv")
    (bundle, metadata), (caption, _) = shown
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == "an edge and a triangle"
    assert caption["text/markdown"] == "Record: x.csv"
    assert plt.get_fignums() == []


def test_the_same_figure_gives_the_same_bytes_on_opaque_white():
    one, other = (show.png(plots.pair_plane(CUBE, 2)) for _ in range(2))
    plt.close("all")
    assert one == other
    assert Image.open(io.BytesIO(one)).convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws(name):
    fig = FIGURES[name]()
    assert isinstance(fig, Figure)
    assert len(show.png(fig, dpi=60)) > 1000
    plt.close(fig)


def test_every_figure_function_is_tried():
    public = {n for n, f in vars(plots).items() if callable(f) and getattr(f, "__module__", "") == plots.__name__ and n[0] != "_"}
    assert public - {"style"} == {n.split(" without")[0] for n in FIGURES}


def test_colours_mean_the_same_everywhere():
    assert (plots.QUERY, plots.KEY1, plots.KEY2, plots.SIMPLICIAL) == ("#0072B2", "#D55E00", "#009E73", "#7B3FA0")


@pytest.mark.parametrize("chapter", sorted(f.stem for f in quiz.FOLDER.glob("*.toml")))
def test_a_quiz_has_five_questions_with_a_reply_for_each_option(chapter):
    questions = quiz.load(chapter)
    assert len(questions) == 5
    for q in questions:
        assert len({o.text for o in q.options}) == len(q.options) >= 3
        assert all(len(o.reply) > 20 for o in q.options)


def test_the_right_option_is_not_always_at_one_place():
    places = [[o.right for o in q.options].index(True) for f in quiz.FOLDER.glob("*.toml") for q in quiz.load(f.stem)]
    assert max(places.count(p) for p in set(places)) <= 0.7 * len(places)


def test_a_quiz_with_two_right_options_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(quiz, "FOLDER", tmp_path)
    option = '[[question.option]]\ntext = "{}"\nreply = "r"\nright = true\n'
    (tmp_path / "09.toml").write_text('[[question]]\nask = "?"\n' + option.format("a") + option.format("b"))
    with pytest.raises(ValueError, match="2 right options, expected 1"):
        quiz.load("09")
    with pytest.raises(ValueError, match="quizzes exist for 09"):
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
