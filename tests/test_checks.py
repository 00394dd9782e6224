"""What a check says to bad input, what it shows, and what it remembers."""

import json
import re
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from simplex_lab import checks
from simplex_lab.checks import call, memory, progress, report
from simplex_lab.checks.card import card, show, trimmed
from simplex_lab.checks.spec import Case, chapters, exercises
from simplex_lab.windows import visible_pairs

ALL = {id: e for chapter in chapters() for id, e in exercises(chapter).items()}


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMPLEX_LAB_HOME", str(tmp_path))
    monkeypatch.delenv("SIMPLEX_LAB_STRICT", raising=False)


# --- functions that misbehave ----------------------------------------------------------------------------------------


def returns_none(q, k, v):
    q @ k.T


def wrong_shape(q, k, v):
    return q @ k.T


def gives_nan(q, k, v):
    return torch.full_like(q, torch.nan)


def integers(q, k, v):
    return torch.ones(q.shape, dtype=torch.int64)


def a_list(q, k, v):
    return q.tolist()


def endless_recursion(q, k, v):
    return endless_recursion(q, k, v)


def raises(q, k, v):
    scores = q @ k.T
    return scores @ v @ scores


def too_few_arguments(q):
    return q


def misses_an_import(q, k, v):
    return np.exp(q)


def still_a_stub(q, k, v):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("fn", "rung", "diagnosis", "words"),
    [
        (returns_none, "returns", "returns-none", "returns None"),
        (wrong_shape, "returns", "wrong-shape", "[3, 3], expected S, D = [3, 2]"),
        (gives_nan, "finite", "unknown", ""),
        (integers, "returns", "wrong-dtype", "torch.int64, expected torch.float32"),
        (a_list, "returns", "wrong-type", "returns a list"),
        (endless_recursion, "runs", "endless-recursion", "without end"),
        (raises, "runs", "raised", "`return scores @ v @ scores`"),
        (too_few_arguments, "runs", "raised", "arguments of the contract table"),
        (misses_an_import, "runs", "raised", "`np` is not defined"),
        (still_a_stub, "attempted", "not-attempted", "NotImplementedError"),
        (None, "runs", "not-a-function", "run the cell that defines it"),
        (torch.ones(2), "runs", "not-a-function", "pass the function itself"),
    ],
)
def test_bad_functions_get_one_clear_message(fn, rung, diagnosis, words):
    result = checks.run("01.2", fn)
    assert (result.passed, result.rung, result.diagnosis) == (False, rung, diagnosis)
    text = report.as_text(result, 3)
    assert words in " ".join(text.split())
    assert "Traceback" not in text
    assert "simplex_lab/" not in text


def test_an_exception_names_the_line_of_the_learners_code():
    says = checks.run("01.2", raises).says
    line = raises.__code__.co_firstlineno + 2
    assert says.startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert f"in line {line} of your cell: `return scores @ v @ scores`" in says


def test_an_endless_loop_is_stopped(monkeypatch):
    monkeypatch.setattr(call, "SECONDS", 0.3)

    def loops(q, k, v):
        while True:
            pass

    result = checks.run("01.2", loops)
    assert result.diagnosis == "too-slow"
    assert "still running" in result.says


def test_a_loop_that_swallows_exceptions_is_stopped_too(monkeypatch):
    monkeypatch.setattr(call, "SECONDS", 0.3)

    def loops(q, k, v):
        while True:
            try:
                q + 1
            except Exception:
                continue

    assert checks.run("01.2", loops).diagnosis == "too-slow"


def test_printing_a_lot_is_cut_and_mentioned(capsys):
    def chatty(q, k, v):
        for _ in range(20_000):
            print("weights", q)
        return q

    text = report.as_text(checks.run("01.2", chatty), 3)
    assert capsys.readouterr().out == ""
    assert "your function printed" in text
    assert "lines, beginning: weights tensor" in text
    assert len(text) < 2000


def test_inputs_are_clones_so_a_modified_input_hurts_only_its_own_check():
    def greedy(x):
        x -= x.amax(-1, keepdim=True)
        return x.exp() / x.exp().sum(-1, keepdim=True)

    first, second = checks.run("01.1", greedy), checks.run("01.1", torch.nn.Softmax(-1))
    assert first.diagnosis == "modifies-input"
    assert "`x`" in first.says
    assert second.passed


@pytest.mark.parametrize(("asked", "nearest"), [("03.9", "03.1"), ("3.2", "03.2"), ("03.22", "03.2"), ("banana", "")])
def test_an_unknown_id_suggests_the_nearest(asked, nearest, capsys):
    with pytest.raises(checks.UnknownExercise, match="There is no exercise") as caught:
        checks.run(asked, raises)
    if nearest:
        assert f"Did you mean {nearest[:3]}" in str(caught.value).replace("'", "")
    checks.check(asked, raises)
    assert "There is no exercise" in capsys.readouterr().out


# --- memory ----------------------------------------------------------------------------------------------------------


def test_reading_past_the_end_of_an_input_brings_nan():
    def reads_one_too_far(x):
        S, N = x.shape
        shifted = x.as_strided((S, N), (N, 1), x.storage_offset() + 1)
        return (0 * shifted) + x.softmax(-1)

    assert checks.run("01.1", reads_one_too_far).rung == "finite"


def test_the_halo_notices_a_write_on_either_side():
    for at in (0, -1):
        guarded = memory.in_halo(torch.ones(3, 4))
        assert guarded.halo_intact()
        guarded.buffer[memory.PAD - 1 if at == 0 else -memory.PAD] = 0.0
        assert not guarded.halo_intact()


def test_an_output_starts_as_nan_inside_a_canary():
    guarded = memory.blank_output((2, 3), torch.float32)
    assert guarded.tensor.isnan().all()
    assert guarded.buffer[0] == torch.tensor(memory.CANARY)


def test_strided_inputs_hold_the_same_numbers():
    x = torch.randn(3, 4)
    y = call._strided(x, "any")
    assert torch.equal(x, y)
    assert not y.is_contiguous()


# --- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["01.2", "01.3", "03.4"])
def test_the_softmax_of_the_cases_is_not_flat(id):
    """The median over queries of the largest weight lies between 0.05 and 0.9 where a query sees enough to choose."""
    case = ALL[id].cases(torch.Generator().manual_seed(0))[-1]
    q = case.args["q"]
    if id == "03.4":
        A = torch.einsum("id,jd,kd->ijk", q, case.args["k1"], case.args["k2"]) * q.shape[-1] ** -0.5
        hidden = ~visible_pairs(len(q), case.args["w1"], case.args["w2"])
        largest = A.masked_fill(hidden, -torch.inf).flatten(1).softmax(-1).amax(-1)
    else:
        largest = (q @ case.args["k"].T * q.shape[-1] ** -0.5).softmax(-1).amax(-1)
    assert 0.05 < largest.median() < 0.9


# --- reports ---------------------------------------------------------------------------------------------------------


def softmax_over_k(logits):
    return logits.softmax(-1)


def test_a_failed_check_reports_in_this_form():
    text = report.as_text(checks.run("03.2", softmax_over_k), 2)
    lines = text.splitlines()
    labels = [line[2:13].strip() for line in lines[1:] if line[2:3].strip()]
    assert lines[0] == "03.2  one softmax over the pair  not yet"
    assert labels == ["rung", "worst", "where", "looks like", "try", "hint"]
    assert "weights[i=" in text
    assert "expected" in text
    assert "the softmax is joint over (j, k)" in " ".join(text.split())
    assert 'hint("03.2")  (2 of 3 left)' in text
    assert max(len(line) for line in lines) <= report.WIDTH


def test_the_readme_shows_a_real_report():
    readme = (progress.ROOT / "README.md").read_text(encoding="utf-8")
    assert report.as_text(checks.run("03.2", softmax_over_k), 3) in readme


def test_a_pass_is_one_line():
    text = report.as_text(checks.run("03.2", ALL["03.2"].answer), 3)
    assert text.startswith("03.2  passed  max error ")
    assert "\n" not in text


def test_a_large_number_in_float32_passes_and_is_told_so():
    """Sizes of 1.8 billion: an error of 50 is seven digits."""
    text = report.as_text(checks.run("13.3", lambda alpha, beta, L: ((-L.float().log().mean() - beta) / alpha).exp()), 3)
    assert re.match(r"13\.3  passed  max error \de-0[5-7] of the output on CPU", text)
    assert "a float32 came back" in text
    assert "float32" not in report.as_text(checks.run("13.3", ALL["13.3"].answer), 3)


def test_a_list_where_float64_is_wanted_is_told_the_type():
    assert "dtype=torch.float64" in checks.run("13.1", lambda N, L: [0.1, 0.2]).asks


def test_the_rich_report_holds_the_same_words_and_a_picture():
    result = checks.run("03.2", softmax_over_k)
    page = report.as_html(result, 2)
    for _, words in report.lines(result, 2):
        assert words.split("(")[0].split('"')[0].strip()[:30] in page.replace("&lt;", "<").replace("&#x27;", "'")
    assert "<svg role=" in page
    assert "aria-label=" in page
    assert "var(--jp-content-font-color1" in page  # the theme's own text colour: light and dark


def test_right_and_wrong_rows_are_told_apart():
    def wrong_from_four(q, k, v):
        o = ALL["01.3"].answer(q, k, v).clone()
        o[4:] += 1
        return o

    worst = checks.run("01.3", wrong_from_four).worst
    assert "i = 0-3 right, i = 4-14 wrong" in worst


def test_strict_mode_raises_with_the_report(monkeypatch):
    monkeypatch.setenv("SIMPLEX_LAB_STRICT", "1")
    with pytest.raises(checks.CheckFailed, match="softmax is joint"):
        checks.check("03.2", softmax_over_k)
    with pytest.raises(checks.UnknownExercise):
        checks.check("99.9", softmax_over_k)
    checks.check("03.2", ALL["03.2"].answer)


# --- cards, hints, checkpoints, progress -----------------------------------------------------------------------------


@pytest.mark.parametrize("id", ALL)
def test_a_card_states_the_contract_and_a_true_example(id):
    exercise, text = ALL[id], card(id)
    for argument in exercise.arguments:
        assert f"| `{argument.name}` |" in text
        assert argument.promise in text
    scope = {"torch": torch}
    code = text.split("```python\n")[1].split("```")[0]
    exec("\n".join(line for line in code.splitlines() if not line.startswith("out = ")), scope)
    given = [scope[a.name] for a in exercise.arguments if a.name != exercise.writes]
    answer = exercise.answer(*given)
    kept, cut = trimmed(answer.double() if answer.is_floating_point() else answer)
    assert show(kept) in text
    assert (f"followed by {cut} zeros in each row" in text) == bool(cut)


@pytest.mark.parametrize("id", ALL)
def test_hints_come_one_by_one_and_are_counted(id, capsys):
    for n in (1, 2, 3, 3):
        checks.hint(id)
        assert f"hint {n} of 3" in capsys.readouterr().out
    assert progress.hints_used(id) == 3


def test_a_checkpoint_lets_a_stuck_learner_go_on(capsys):
    mine = checks.checkpoint("03.2", softmax_over_k)
    assert "not solved yet" in capsys.readouterr().out
    logits = torch.randn(3, 3, 3)
    assert torch.allclose(mine(logits), ALL["03.2"].answer(logits))
    right = ALL["03.2"].answer
    assert checks.checkpoint("03.2", right) is right


def test_a_checkpoint_fills_an_output_where_the_exercise_does():
    fill = checks.checkpoint("03.1", still_a_stub)
    q, k1, k2 = torch.randn(3, 4, 2)
    out = torch.full((4, 4, 4), torch.nan)
    fill(q, k1, k2, out)
    assert torch.allclose(out, ALL["03.1"].answer(q, k1, k2))


def test_progress_is_kept_and_a_pass_stays_a_pass():
    checks.check("03.2", softmax_over_k)
    assert "at: hand" in progress.table()
    checks.check("03.2", ALL["03.2"].answer)
    checks.check("03.2", softmax_over_k)
    assert progress.load()["03.2"]["tries"] == 3
    row = next(line for line in progress.table().splitlines() if line.startswith("03.2"))
    assert "passed" in row
    assert f"1 of {len(ALL)} exercises passed" in progress.table()


def test_an_unsolved_stub_leaves_no_trace(tmp_path):
    checks.check("01.2", still_a_stub)
    assert not (tmp_path / "progress.json").exists()


@pytest.mark.parametrize("damage", ["{not json", "[1, 2]", '{"03.2": 5}', ""])
def test_a_damaged_progress_file_is_put_aside(damage, tmp_path, capsys):
    (tmp_path / "progress.json").write_text(damage)
    checks.check("03.2", ALL["03.2"].answer)
    assert (tmp_path / "progress.damaged-1.json").read_text() == damage
    assert "passed" in json.loads((tmp_path / "progress.json").read_text())["03.2"]
    assert "could not be read" in capsys.readouterr().out


def test_checks_import_neither_ipython_nor_widgets():
    code = "import sys; from simplex_lab import checks; print([m for m in ('IPython', 'ipywidgets', 'triton') if m in sys.modules])"
    import subprocess

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# --- in a notebook ---------------------------------------------------------------------------------------------------


def test_a_notebook_run_out_of_order_or_elsewhere_gets_sentences(tmp_path):
    """No set-up cell, a check before its function, another folder: one clear sentence each, and no traceback."""
    cells = [
        "from simplex_lab.checks import check\ncheck('03.2', joint_softmax)",
        "def joint_softmax(logits):\n    return torch.softmax(logits, -1)",
        "check('03.2', joint_softmax)",
        "hint('03.2')",
        "import os; os.chdir('/'); check('03.2', lambda logits: logits.flatten(1).softmax(-1).view_as(logits))",
        "undefined_name_of_their_own",
    ]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(nb, timeout=60, allow_errors=True, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    def said(n):
        return "".join(
            o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in nb.cells[n].outputs if o.output_type != "error"
        )

    assert "`joint_softmax` is not defined yet: run the cell above that defines it (exercise 03.2)" in said(0)
    assert "`torch` is not defined: run the set-up cell" in said(2)
    assert "`hint` is not defined yet: run the set-up cell" in said(3)
    assert "03.2  passed" in said(4)
    assert any(o.output_type == "error" and "undefined_name_of_their_own" in "".join(o.traceback) for o in nb.cells[5].outputs)


def test_cases_never_share_tensors_with_the_learner():
    case = Case("x", {"x": torch.ones(2, 2)})
    call.call(ALL["01.1"], lambda x: x.zero_(), case, torch.ones(2, 2))
    assert torch.equal(case.args["x"], torch.ones(2, 2))


@pytest.mark.parametrize("seed", range(5))
def test_the_walk_over_tiles_equals_the_reference(seed):
    """The answer of 06.4 and 06.5 may hold no more than a tile, so it is not the reference itself."""
    from simplex_lab.checks import chapter06

    exercise = next(e for e in chapter06.EXERCISES if e.id == "06.4")
    for case in (exercise.hand, *exercise.cases(torch.Generator().manual_seed(seed))):
        args = {n: v.double() if isinstance(v, torch.Tensor) else v for n, v in case.args.items()}
        torch.testing.assert_close(exercise.answer(**args), chapter06.attend_by_reference(**args))


def test_a_case_of_few_whole_numbers_is_shown():
    report = checks.run("02.1", lambda x, modulus: torch.tensor([0, 0, 0, 1, 1]) if len(x) == 5 else torch.zeros_like(x))
    assert report.rung == "random"
    assert report.inputs.startswith("x = [")
    assert "modulus = 11" in report.inputs
