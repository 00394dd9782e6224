"""The notebook builder: the same bytes for the same source, nothing stale, no leaks, and errors that say where."""

import re
import shutil
from pathlib import Path

import jupytext
import pytest
from nbformat import from_dict
from tiny_project import CHAPTER, SOLUTION, card, make_project

from tools import build, check, check_links
from tools.check_notebook import short_markdown
from tools.markers import check_markers, exercise_cells, strip_regions
from tools.notebooks import SourceError, dumps, loads, make_notebook, read_source
from tools.project import Project
from tools.widget_ids import rename

CHAPTER_NB, SOLUTION_NB, EXERCISE_NB = (f"{folder}/03_tiny.ipynb" for folder in ("chapters", "solutions", "exercises"))


def run(root: Path, *arguments: str) -> int:
    return build.main(["--root", str(root), *arguments], card)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A project, built once for the whole file."""
    root = make_project(tmp_path_factory.mktemp("built"))
    assert run(root) == 0
    return root


@pytest.fixture
def tree(built, tmp_path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(built, tmp_path / "tree"))


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change(root: Path, name: str, action) -> None:
    """Change a stored notebook behind the builder's back."""
    notebook = loads((root / name).read_text(encoding="utf-8"))
    action(notebook)
    (root / name).write_text(dumps(from_dict(notebook)), encoding="utf-8")


# Building


def test_a_second_build_gives_the_same_bytes(built, tree, capsys):
    assert run(tree, "chapters", "--force") == 0
    assert (tree / CHAPTER_NB).read_bytes() == (built / CHAPTER_NB).read_bytes()
    assert re.search(r"chapters/03_tiny.ipynb +built +\d+\.\d s", output := capsys.readouterr().out)
    assert "Cells whose output is not compared (nbval-ignore-output): 1" in output
    assert "chapters/03_tiny.ipynb: cell 2 (chapters/src/03_tiny.py:6)" in output


def test_what_is_stored_is_what_a_reader_should_see(built):
    text = (built / CHAPTER_NB).read_text()
    notebook = loads(text)
    assert notebook.cells[1].outputs[0].text == "done  \n", "a progress line keeps its last state only"
    assert "IntSliderModel" in text
    assert "timestamp" not in text
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.cells[3].id != notebook.cells[4].id, "two equal cells"


def test_only_what_is_stale_is_built(tree, capsys):
    before = (tree / CHAPTER_NB).stat().st_mtime_ns
    assert run(tree) == 0
    assert capsys.readouterr().out.count("up to date") == 2
    assert (tree / CHAPTER_NB).stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["simplex_lab/windows.py", "simplex_lab/low.py", "simplex_lab/quizzes/03.toml", "chapters/src/03_tiny.py"])
def test_a_changed_input_makes_it_stale(tree, name):
    def fresh():
        return build.is_fresh(tree, build.plan(tree, ["chapters"], card)[0])

    edit(tree, "simplex_lab/unused.py", "1", "2")
    assert fresh()
    (tree / name).write_text((tree / name).read_text() + "\n# %%\n")
    assert not fresh()


def test_the_inputs_of_a_notebook(tree):
    edit(tree, "chapters/src/03_tiny.py", "1 + 1", 'read("results/speed.csv"), open("other.csv")')
    for name in ("results/speed.csv", "results/unnamed.csv", "simplex_lab/checks/__init__.py", "simplex_lab/checks/spec_03.py"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("")
    (tree / "simplex_lab/low.py").write_text('LAZY = "simplex_lab.checks"\n')
    (tree / "simplex_lab/checks/spec_04.py").write_text("")
    project = Project(tree)
    names = {project.name(path) for path in project.inputs(read_source(tree, "chapters/src/03_tiny.py"))}
    assert names == {
        "results/speed.csv",
        "simplex_lab/__init__.py",
        "simplex_lab/checks/__init__.py",
        "simplex_lab/checks/spec_03.py",
        "simplex_lab/low.py",
        "simplex_lab/quizzes/03.toml",
        "simplex_lab/windows.py",
    }


def test_a_chapter_that_raises_stops_the_build(tree, capsys):
    kept = (tree / CHAPTER_NB).read_bytes()
    edit(tree, "chapters/src/03_tiny.py", "1 + 1", "numerator = 1\nnumerator / 0")
    assert run(tree, "03", "-j", "1") == 1
    output = capsys.readouterr().out
    assert "chapters/03_tiny.ipynb: cell 4 (chapters/src/03_tiny.py:22) raised" in output
    assert output.count("    numerator / 0\n") == 1
    assert "ZeroDivisionError: division by zero" in output
    assert "\x1b[" not in output
    assert (tree / CHAPTER_NB).read_bytes() == kept


def test_the_notebook_converts_back_to_its_source(built):
    def text(source: str) -> str:
        body = re.sub(r"\A# ---\n.*?# ---\n", "", source, flags=re.DOTALL)
        return re.sub(r"\n+# %%", "\n# %%", body).strip()

    notebook = loads((built / CHAPTER_NB).read_text(encoding="utf-8"))
    assert text(jupytext.writes(notebook, fmt="py:percent")) == text(CHAPTER)


def test_names_choose_notebooks():
    sources = ["chapters/src/03_tiny.py", "chapters/src/04_other.py", "solutions/src/03_tiny.py"]
    for names, expected in {
        (): sources,
        ("03",): [sources[0], sources[2]],
        ("chapters",): sources[:2],
        ("solutions/src/03_tiny.py",): [sources[2]],
        ("exercises/03_tiny.ipynb",): [sources[2]],
    }.items():
        assert build.chosen(sources, list(names)) == expected
    with pytest.raises(SystemExit, match="no source matches '09'"):
        build.chosen(sources, ["09"])


def test_widget_ids_do_not_depend_on_the_run():
    def notebook(first: str, second: str, third: str):
        view = {"application/vnd.jupyter.widget-view+json": {"model_id": first}}
        output = {"output_type": "display_data", "data": view, "metadata": {}}
        cells = [{"cell_type": "code", "metadata": {}, "source": "", "outputs": [output], "execution_count": 1}]
        state = {
            third: {"state": {"msg_id": "", "value": "hidden"}},
            second: {"state": {"value": "part"}},
            first: {"state": {"part": f"IPY_MODEL_{second}", "msg_id": "5d1-random"}},
        }
        widgets = {"application/vnd.jupyter.widget-state+json": {"state": state}}
        return from_dict({"cells": cells, "metadata": {"widgets": widgets}, "nbformat": 4, "nbformat_minor": 5})

    one, two = (rename(notebook(*(c * 32 for c in ids)), "x.ipynb") for ids in ("abc", "cab"))
    assert dumps(one) == dumps(two)


# Exercises


def test_an_exercise_holds_stubs_and_no_solution(built):
    cells = loads((built / EXERCISE_NB).read_text(encoding="utf-8")).cells
    assert [cell.source for cell in cells] == [
        "# Tiny work\n\nCommon words.\n\nWords for the learner.",
        card("03.1"),
        'def double(x):\n    """Twice x."""\n    # YOUR CODE HERE\n    raise NotImplementedError()',
        '"public end"',
    ]
    teacher = loads((built / SOLUTION_NB).read_text(encoding="utf-8")).cells
    assert teacher[0].source == "# Tiny work\n\nCommon words.\nWords for the teacher."
    assert len(teacher) == 6


def test_every_region_becomes_a_stub_at_its_own_depth():
    text = "a = 1\n### BEGIN SOLUTION\nb\n### END SOLUTION\nif a:\n    ### BEGIN SOLUTION\n  c\n    ### END SOLUTION\nd"
    stub = "# YOUR CODE HERE\nraise NotImplementedError()"
    assert strip_regions(text) == f"a = 1\n{stub}\nif a:\n    # YOUR CODE HERE\n    raise NotImplementedError()\nd"


BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (f"# %%\nx = 1\n{BEGIN}\n", 3, "has no END SOLUTION"),
        (f"# %%\nx = 1\n{END}\n{BEGIN}\n", 3, "without a BEGIN"),
        (f"# %%\n{BEGIN}\n{BEGIN}\n{END}\n", 3, "inside the region that starts on line 2"),
        (f"# %%\n{BEGIN}\nx = 1\n\n# %%\n{END}\n", 2, "has no END SOLUTION in its cell"),
        (f"# %% [markdown]\n# words\n#\n# {BEGIN}\n", 4, "code cells of solutions/src only"),
        (f"# %%\nx = 1  {BEGIN}\n", 2, "alone on its line"),
        (f"# %%\n#{BEGIN}\n{END}\n", 2, "alone on its line"),
        ("# %% [markdown]\n# <!-- solution -->\n# words\n", 2, "is not closed"),
        ("# %% [markdown]\n# words <!-- /exercise -->\n", 2, "closes nothing"),
        ("# %% [markdown]\n# <!-- solution --> a\n# <!-- exercise --> b <!-- /exercise --> <!-- /solution -->\n", 3, "inside the span"),
        ("# %% [markdown]\n# <!-- solution --> a <!-- /exercise -->\n", 2, "closes nothing"),
        ("# %%\n# <!-- solution -->\n", 2, "markdown cells of solutions/src only"),
        ("# %% [markdown]\n# words\n# <!-- card 99.9 -->\n", 3, "no card '99.9'"),
        ("# %% [markdown]\n# words\n# see <!-- card 03.1 -->\n", 3, "alone on its line"),
        ("x = 1\n\n# %%\nx\n", 3, "text above the first"),
        ("# %%\nx = 1\n\n# %%\ndef (:\n", 5, "not valid Python"),
    ],
)
def test_a_misplaced_marker_names_file_and_line(tmp_path, capsys, text, line, message):
    root = make_project(tmp_path)
    (root / "solutions/src/03_tiny.py").write_text(text)
    assert run(root) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"solutions/src/03_tiny.py:{line}: ")
    assert message in error
    assert not (root / EXERCISE_NB).exists(), "nothing is written when a source is wrong"


def test_markers_do_not_belong_in_chapters(tmp_path):
    root = make_project(tmp_path)
    (root / "chapters/src/03_tiny.py").write_text(f"# %%\n{BEGIN}\n1\n{END}\n")
    with pytest.raises(SourceError, match=r"^chapters/src/03_tiny.py:2: "):
        check_markers(read_source(root, "chapters/src/03_tiny.py"))


# Checking


def test_a_clean_project_has_no_findings(built, capsys):
    assert run(built, "--check") == 0
    assert "0 findings in 2 sources" in capsys.readouterr().out


def first_output(**fields):
    """Store something else as the output of the chapter's cell 4."""

    def action(notebook):
        notebook.cells[3].outputs[0].update(fields)

    return action


def stored(name, action):
    return lambda root: change(root, name, action)


def set_cell(index, **fields):
    return lambda notebook: notebook.cells[index].update(fields)


def set_alt(notebook):
    notebook.cells[2].outputs[0].metadata = {}


def error_output(notebook):
    notebook.cells[3].outputs = [{"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}]


def widget_path(notebook):
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    next(iter(state.values()))["state"]["value"] = "x\n/home/someone/course"


def source(name, text):
    """Add cells to a source."""
    return lambda root: (root / name).write_text((root / name).read_text() + text)


def write(name, text):
    def action(root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return action


def big_tree(root):
    with open(root / "big.bin", "wb") as file:
        file.truncate(check_links.TREE_BYTES + 1)


C, S = "chapters/src/03_tiny.py", "solutions/src/03_tiny.py"
KERNEL = "import triton\n\n@triton.jit\ndef kernel(x):\n    pass\n"
LONG_CODE = "\n\n# %%\n" + "".join(f"value_{n} = {n}\n\n# why\n" for n in range(16))
WORDS = "# " + "word " * 60 + "\n"
OUTPUT = rf"^{CHAPTER_NB}: cell 4 \({C}:22\): "


@pytest.mark.parametrize(
    ("violate", "finding"),
    [
        (stored(CHAPTER_NB, set_cell(3, source="1 + 2")), rf"^{CHAPTER_NB}: cell 4.*: its source differs"),
        (stored(CHAPTER_NB, set_cell(3, metadata={"tags": ["x"]})), rf"^{CHAPTER_NB}: cell 4.*: its metadata differs"),
        (stored(CHAPTER_NB, set_cell(3, id="aaaa")), rf"^{CHAPTER_NB}: cell 4.*: its id differs"),
        (stored(CHAPTER_NB, lambda nb: nb.cells.pop()), rf"^{CHAPTER_NB}: has 4 cells, its source gives 5"),
        (stored(CHAPTER_NB, lambda nb: nb.metadata.update(kernelspec={})), rf"^{CHAPTER_NB}: its metadata differs"),
        (lambda root: edit(root, CHAPTER_NB, '"cells"', ' "cells"'), rf"^{CHAPTER_NB}: is not stored in the builder's form"),
        (write(CHAPTER_NB, "{"), rf"^{CHAPTER_NB}: is not a notebook"),
        (lambda root: edit(root, "simplex_lab/low.py", "1", "2"), rf"^{CHAPTER_NB}: is stale"),
        (stored(EXERCISE_NB, set_cell(3, source="2")), rf"^{EXERCISE_NB}: cell 4: its source differs"),
        (lambda root: (root / EXERCISE_NB).unlink(), rf"^{EXERCISE_NB}: is missing"),
        (lambda root: (root / CHAPTER_NB).unlink(), rf"^{CHAPTER_NB}: is missing"),
        (lambda root: (root / C).unlink(), rf"^{CHAPTER_NB}: has no source {C}"),
        (lambda root: (root / S).unlink(), rf"^{EXERCISE_NB}: has no source {S}"),
        (stored(CHAPTER_NB, set_cell(3, execution_count=None)), OUTPUT + "execution count is None, expected 3"),
        (stored(CHAPTER_NB, set_cell(3, execution_count=7)), OUTPUT + "execution count is 7, expected 3"),
        (stored(CHAPTER_NB, error_output), OUTPUT + "stores an error: ValueError"),
        (stored(CHAPTER_NB, first_output(data={"text/plain": "in '/tmp/xy/a.py'"})), OUTPUT + "stores a path.*: /tmp/xy/a.py"),
        (stored(CHAPTER_NB, first_output(data={"text/html": "<b>/home/ann/x</b>"})), OUTPUT + "stores a path.*: /home/ann/x"),
        (stored(CHAPTER_NB, first_output(data={"text/plain": "ipykernel_12/3.py"})), OUTPUT + "stores a path"),
        (stored(CHAPTER_NB, widget_path), rf"^{CHAPTER_NB}: stores a path.*: /home/someone/course"),
        (lambda root: stored(CHAPTER_NB, first_output(data={"text/plain": f"{root}/x"}))(root), OUTPUT + "stores a path"),
        (stored(CHAPTER_NB, first_output(data={"text/plain": "UserWarning: no"})), OUTPUT + "stores the text 'UserWarning'"),
        (stored(EXERCISE_NB, set_cell(3, source="answer_of_the_task = 2 * x")), rf"^{EXERCISE_NB}: .*shows a line of the solution"),
        (stored(EXERCISE_NB, set_cell(3, source="assert double(2) == 4")), rf"^{EXERCISE_NB}: .*shows a line of the solution"),
        (stored(EXERCISE_NB, set_cell(3, source=BEGIN)), rf"^{EXERCISE_NB}: cell 4.*a solution marker is left"),
        (stored(EXERCISE_NB, set_cell(3, metadata={"tags": ["solution"]})), rf"^{EXERCISE_NB}: cell 4.*a solution marker is left"),
        (stored(EXERCISE_NB, set_cell(3, execution_count=1)), rf"^{EXERCISE_NB}: cell 4.*stores no outputs"),
        (source(C, "\n# %% [markdown]\n# [x](../nothing.md)\n"), rf"^{CHAPTER_NB}: has 5 cells"),
        (stored(CHAPTER_NB, set_cell(0, source="[x](../nothing.md)")), rf"^{CHAPTER_NB}: cell 1: broken link '../nothing.md': no such"),
        (stored(CHAPTER_NB, set_cell(0, source="[x](../README.md#no)")), rf"^{CHAPTER_NB}: cell 1: broken link .*: no heading #no"),
        (write("README.md", "a\n\n```\n[no](x)\n```\n\nb [x](a/b.md)\n"), "^README.md:7: broken link 'a/b.md': no such file"),
        (write("README.md", "[x]: gone.md\n"), "^README.md:1: broken link 'gone.md'"),
        (write("docs/a.md", '<img src="../b.png" alt="b">\n'), "^docs/a.md:1: broken link '../b.png'"),
        (write("README.md", "[x](../outside.md) [y](simplex_lab/low.py#L9)\n"), "leaves the project"),
        (write("README.md", "# Tiny\n\n## Two commands\n[y](simplex_lab/low.py#L9)\n"), "no such line"),
        (stored(CHAPTER_NB, set_alt), rf"^{CHAPTER_NB}: cell 3 .*image/png output without alt text"),
        (stored(CHAPTER_NB, first_output(data={"text/html": "<img src='x'>"})), OUTPUT + "an <img> without alt text"),
        (stored(CHAPTER_NB, first_output(data={"text/html": "<img src='x' alt=''>"})), OUTPUT + "an <img> without alt text"),
        (stored(CHAPTER_NB, set_cell(0, source="![](../README.md)")), "an image without alt text"),
        (stored(CHAPTER_NB, first_output(data={"text/plain": "x" * 1_000_000})), rf"^{CHAPTER_NB}: 1.\d\d MB, over the limit"),
        (big_tree, "^the tree holds 40.0 MB, over the limit"),
        (source(C, "\n# %% [markdown]\n" + 3 * WORDS), rf"^{CHAPTER_NB}: cell 6 \({C}:28\): 180 words"),
        (source(C, LONG_CODE), rf"^{CHAPTER_NB}: cell 6 \({C}:29\): 16 lines of code"),
        (source(S, LONG_CODE), rf"^{EXERCISE_NB}: cell 5 .*: 16 lines of code"),
        (stored(CHAPTER_NB, set_cell(3, source="# !pip install x==1.0")), rf"^{CHAPTER_NB}: cell 4: pins a version"),
        (source(C, "\n# %%\nimport triton\n"), rf"^{C}:29: this chapter must run without Triton, but imports triton"),
        (
            source("simplex_lab/low.py", "try:\n    import triton.language\nexcept ImportError: ...\n"),
            "windows -> simplex_lab.low -> triton",
        ),
        (source("simplex_lab/low.py", "from simplex_kernels import op\n"), rf"^{C}:11: .* -> simplex_kernels$"),
        (source(C, "\n# %%\ndef public_helper(): ...\n"), rf"^{C}:29: defines public_helper, which simplex_lab.windows has"),
        (source("kernels/simplex_kernels/__init__.py", "def f():\n    import simplex_lab\n"), "^kernels/.*:2: simplex_kernels imports"),
        (
            lambda root: [write(f"kernels/simplex_kernels/{n}.py", f"from .{o} import kernel\n{KERNEL}")(root) for n, o in ("ab", "ba")],
            r"^kernels/simplex_kernels/a.py:1: a kernel file imports another \(simplex_kernels.b\)",
        ),
        (write("simplex_lab/train.py", "import ipywidgets\n"), "^simplex_lab/train.py:1: must import without Jupyter"),
        (write("simplex_lab/checks/a.py", "from IPython.display import display\n"), "^simplex_lab/checks/a.py:1: must import without"),
        (source(S, f"\n# %%\n{END}\n"), rf"^{S}:\d+: END SOLUTION without"),
    ],
    ids=lambda value: value[-40:] if isinstance(value, str) else "",
)
def test_check_finds(tree, violate, finding):
    violate(tree)
    findings = check.run(tree, card)
    assert any(re.search(finding, line) for line in findings), "\n".join(findings) or "no findings"
    assert not any("\n" in line for line in findings)


@pytest.mark.parametrize(
    "harmless",
    [
        source("simplex_lab/unused.py", "def f():\n    import triton\n"),
        write("simplex_lab/bench.py", "def f():\n    import IPython\n"),
        write("simplex_lab/plots.py", "import IPython\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import triton\n"),
        write("kernels/simplex_kernels/op.py", f"from . import other\n{KERNEL}"),
        write("chapters/notes.md", "[a](03_tiny.ipynb#Tiny-chapter) [b](https://x.org/no) [c](#) <mailto:a@b.c> `[d](e)`\n"),
        stored(CHAPTER_NB, first_output(data={"text/plain": "https://x.org/home/a and a/tmp/b, warnings"})),
    ],
)
def test_check_leaves_alone(tree, harmless):
    harmless(tree)
    assert check.run(tree, card) == []


def test_an_allowed_error_may_be_stored(tree):
    def raises(notebook):
        error_output(notebook)
        notebook.cells[3].metadata = {"tags": ["raises-exception"]}

    change(tree, CHAPTER_NB, raises)
    assert not any("stores an error" in line for line in check.run(tree, card))


def test_code_tables_and_cards_are_not_words(tmp_path):
    root = make_project(tmp_path)
    text = "# %% [markdown]\n# ```\n" + 3 * WORDS + "# ```\n# | " + "word " * 130 + "|\n# <!-- card 03.1 -->\n"
    (root / S).write_text(text)
    own = read_source(root, S)
    assert not list(short_markdown(make_notebook(own, exercise_cells(own), lambda card_id: "")))


def test_the_checked_example_is_the_one_built(built):
    """The examples above count lines in these texts."""
    assert CHAPTER.splitlines()[21] == "# %%"
    assert SOLUTION.count("SOLUTION") == 2
    assert (built / C).read_text() == CHAPTER
