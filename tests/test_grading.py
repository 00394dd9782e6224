"""Right, wrong and hostile submissions end in the grades that they deserve: none lost, none wrong, nothing left behind."""

import csv
import json
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from submissions import ALL, HOSTILE, ID, NONSENSE, Submission, cells, instead, notebook, right, some

from simplex_lab import cli
from simplex_lab.checks import run
from simplex_lab.grading import reports, sandbox, wire
from simplex_lab.grading.grade import STATUS, Row, grade, grade_all
from simplex_lab.grading.sandbox import Limits

COUNT = int(os.environ.get("SIMPLEX_LAB_SUBMISSIONS", "20"))
LEASH = Limits(seconds=20, cell_seconds=1)  # room for the honest exercises of a notebook on a busy machine
needs_namespaces = pytest.mark.skipif(not sandbox.isolated(), reason="no namespaces here: only limits hold")


def hand_in(folder: Path, submission: Submission) -> Path:
    path = folder / f"{submission.name}.ipynb"
    content = submission.content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def wrongly_graded(submission: Submission, rows: list[Row]) -> str:
    """What is wrong with these grades, or nothing."""
    if not submission.expected:
        return "" if [r.status for r in rows] == ["unreadable"] and rows[0].says else f"{rows}"
    if [r.exercise for r in rows] != sorted(submission.expected):
        return f"exercises lost or twice: {rows}"
    off = [r for r in rows if r.status not in submission.expected[r.exercise] or (r.status != "passed" and not r.says)]
    return "\n".join(map(str, off))


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX")
def test_a_pile_of_submissions(tmp_path, capsys):
    """``SIMPLEX_LAB_SUBMISSIONS=200`` for a larger one."""
    pile = some(COUNT)
    began = time.monotonic()
    for leash in (False, True):
        part = [s for s in pile if s.slow is leash]
        paths = [hand_in(tmp_path, s) for s in part]
        rows = reports.by_submission(grade_all(paths, LEASH if leash else Limits(), jobs=2))
        assert list(rows) == [str(p) for p in paths]
        off = {s.name: told for s, own in zip(part, rows.values(), strict=True) if (told := wrongly_graded(s, own))}
        assert not off, "\n".join(f"{name}: {told}" for name, told in off.items())
    with capsys.disabled():
        kinds = Counter(k if (k := s.name.split("_")[0]) in ("unsolved", "hostile", "wrong") else "right" for s in pile)
        print(f"\n{len(pile)} submissions ({dict(kinds)}) graded in {time.monotonic() - began:.0f} s, none wrongly")


@pytest.mark.parametrize("kind", ["lent answer", "patched ladder", "exit in an answer", "deleted cell", "cut off"])
def test_the_usual_tricks_by_name(kind, tmp_path):
    submission = HOSTILE[kind]("x")
    assert not wrongly_graded(submission, grade(hand_in(tmp_path, submission)))


@pytest.mark.parametrize("kind", ["exit in a cell", "memory", "many files", "processes", "endless cell", "noise on the line"])
def test_without_namespaces_the_limits_hold(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "isolated", lambda: False)
    submission = HOSTILE[kind]("x")
    assert not wrongly_graded(submission, grade(hand_in(tmp_path, submission), LEASH))


def test_every_kind_of_hostility_is_in_a_large_pile():
    assert len({s.name.split("_", 2)[2] for s in some(200) if s.name.startswith("hostile")}) == len(HOSTILE)


# What the sandbox promises


def spoils(tmp_path, source, limits=Limits()) -> list[Row]:  # noqa: B008
    """Grades of chapter 03 with a cell at the top that tries something, and a wrong answer."""
    submission = Submission("x", notebook([source, *instead(cells("03"), ID, NONSENSE)]))
    return grade(hand_in(tmp_path, submission), limits)


@needs_namespaces
def test_there_is_no_network(tmp_path):
    reached = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        done = threading.Event()

        def listen():
            while not done.is_set():
                try:
                    reached.append(server.accept()[0].close())
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()  # from here it works
        spoils(tmp_path, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=2)")
        done.set()
        listener.join()
    assert len(reached) == 1


@needs_namespaces
@pytest.mark.parametrize("where", ["tests", "tmp"])
def test_nothing_outside_the_scratch_folder_is_written(where, tmp_path):
    target = tmp_path / "target" if where == "tmp" else Path(__file__).parent / "written_by_a_submission"
    spoils(tmp_path, f"open({str(target)!r}, 'w').write('x')")
    written = target.exists()
    target.unlink(missing_ok=True)
    assert not written


@pytest.mark.skipif(not os.path.exists("/proc"), reason="needs /proc")
def test_nothing_runs_on_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    mark = f"left-behind-{os.getpid()}"
    source = (
        "import os, sys, subprocess\n"
        f"sleep = [sys.executable, '-c', 'import time; time.sleep(300)', '{mark}']\n"
        "for _ in range(30):\n    subprocess.Popen(sleep, start_new_session=True)\n"
        "import time\ntime.sleep(1)"
    )
    spoils(tmp_path, source)

    def running():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if mark.encode() in line and entry.name != str(os.getpid()):
                    yield entry.name

    assert not list(running())
    assert not list((tmp_path / "scratch").iterdir())


def test_the_environment_of_the_grader_stays_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET", "of the grader")
    answer = f"import os\ndef {ALL[ID].entry}(A):\n    raise ValueError(str(os.environ.get('A_SECRET')))"
    rows = grade(hand_in(tmp_path, Submission("x", notebook(instead(cells("03"), ID, answer)))))
    (said,) = [r.says for r in rows if r.exercise == ID]
    assert "None" in said
    assert "of the grader" not in said


def test_inputs_are_drawn_anew(tmp_path):
    """An answer that knows the numbers of the check by heart, and nothing else, passes in a notebook and not here."""
    exercise = ALL[ID]
    known = [exercise.hand, *exercise.cases(torch.Generator().manual_seed(20250702))]
    table = [(next(iter(c.args.values())).tolist(), exercise.answer(**c.args).tolist()) for c in known]
    learnt = (
        f"import torch\nfrom math import inf, nan\nTABLE = {table!r}\n"
        f"def {exercise.entry}(A):\n"
        "    for a, out in TABLE:\n"
        "        if torch.tensor(a).shape == A.shape and torch.allclose(torch.tensor(a, dtype=A.dtype), A):\n"
        "            return torch.tensor(out, dtype=A.dtype)\n"
        "    return A * 0"
    )
    rows = grade(hand_in(tmp_path, Submission("x", notebook(instead(cells("03"), ID, learnt)))))
    (row,) = [r for r in rows if r.exercise == ID]
    assert (row.status, row.rung) == ("failed", "random")


# Right answers pass whatever is drawn


@pytest.mark.parametrize(("id", "seed"), [("01.2", 308841), ("03.5", 47514), ("06.4", 205894), ("06.5", 435545)])
def test_right_answers_pass_with_draws_that_magnify_rounding(id, seed):
    from test_wrong_answers import solutions

    assert run(id, solutions(id[:2])[ALL[id].entry], seed=seed).passed


# Frames


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        "text",
        [1, (2, "x")],
        {"a": [1.0], "b": None},
        float("inf"),
        torch.arange(6).view(2, 3),
        torch.rand(3, 4).T,
        torch.tensor(1.5, dtype=torch.bfloat16),
        torch.empty(0, 3),
        torch.tensor([True, False]),
        torch.rand(2, requires_grad=True),
    ],
    ids=lambda v: type(v).__name__,
)
def test_values_come_through(value):
    back = through(value)
    if isinstance(value, torch.Tensor):
        assert back.dtype == value.dtype
        assert torch.equal(back, value.detach())
    else:
        assert back == value
        assert type(back) is type(value)


def through(value, cut=0):
    data = wire.pack(value)
    data, at = data[: len(data) - cut], [0]

    def read(n):
        if at[0] + n > len(data):
            raise wire.Broken("the end")
        at[0] += n
        return data[at[0] - n : at[0]]

    return wire.unpack(read)


def test_of_other_objects_only_the_name_comes_through():
    class Evil:
        def __reduce__(self):
            return os.system, ("touch /tmp/unpickled",)

    back = through(Evil())
    assert type(back).__name__ == "Evil"
    assert isinstance(back, wire.Something)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"value": {"tensor": 0}, "tensors": []}',
        b'{"value": 1, "tensors": [["float32", [-1]]]}',
        b'{"value": 1, "tensors": [["float32", [1000000000000]]]}',
        b'{"value": 1, "tensors": [["object", [1]]]}',
        b'{"value": {"nothing": 1, "of": 2}, "tensors": []}',
    ],
)
def test_what_is_no_frame_is_broken(header):
    data = len(header).to_bytes(8, "big") + header
    at = [0]

    def read(n):
        at[0] += n
        return data[at[0] - n : at[0]].ljust(n, b"\0")

    with pytest.raises(wire.Broken):
        wire.unpack(read)


def test_a_frame_that_ends_early_is_broken():
    with pytest.raises(wire.Broken):
        through(torch.rand(5), cut=3)


# Reports


ROWS = [
    Row("a.ipynb", "03.1", "passed", seconds=1.5),
    Row("a.ipynb", "03.2", "failed", "random", "unknown", "=cmd() <b> is wrong"),
    Row("a.ipynb", "03.3", "not attempted", says="the stub is still there"),
    Row("b.ipynb", "", "unreadable", says="is no notebook"),
]


def test_three_files_hold_every_row(tmp_path):
    as_json, as_csv, as_xml = reports.write(tmp_path / "new", ROWS, "namespaces")
    told = json.loads(as_json.read_text())
    assert [(s["submission"], s["passed"], s["of"]) for s in told["submissions"]] == [("a.ipynb", 1, 3), ("b.ipynb", 0, 0)]
    table = list(csv.DictReader(as_csv.read_text().splitlines()))
    assert [(r["submission"], r["exercise"], r["status"]) for r in table] == [(r.submission, r.exercise, r.status) for r in ROWS]
    assert table[1]["says"].startswith("'=")  # no formula for a spreadsheet
    suites = ElementTree.parse(as_xml).getroot()
    counts = [[s.get(what) for what in ("tests", "failures", "errors", "skipped")] for s in suites]
    assert counts == [["3", "1", "0", "1"], ["1", "0", "1", "0"]]
    assert "<b>" in suites[0][1][0].get("message")


def test_every_status_has_its_junit_word(tmp_path):
    rows = [Row("a", str(n), status) for n, status in enumerate(STATUS)]
    suite = ElementTree.parse(reports.write(tmp_path, rows, "")[2]).getroot()[0]
    assert [len(case) for case in suite] == [0, *[1] * (len(STATUS) - 1)]


def test_the_command_grades_a_folder(tmp_path, capsys, monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "TRITON_INTERPRET"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    (tmp_path / "in" / ".ipynb_checkpoints").mkdir(parents=True)
    for n, folder in enumerate(("in", "in/.ipynb_checkpoints")):
        hand_in(tmp_path / folder, replace(right("13", 0), name=f"x{n}"))
    assert cli.main(["grade", str(tmp_path / "in"), str(tmp_path / "missing.ipynb"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'in' / 'x0.ipynb'}: 4 of 4" in said
    assert "there is no such file" in said
    assert "x1" not in said
    assert "isolation:" in said
    assert all((tmp_path / "out" / name).exists() for name in reports.NAMES)


def test_a_chapter_can_be_asked_for(tmp_path):
    path = hand_in(tmp_path, right("13", 0))
    assert [r.status for r in grade(path, chapter="12")] == ["missing"] * 4
    assert [r.status for r in grade(path, chapter="99")] == ["unreadable"]
