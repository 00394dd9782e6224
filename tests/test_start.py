"""The command line, and the promise that no answer is ever overwritten."""

import contextlib
import shutil
from importlib.metadata import entry_points

import pytest
import torch

from simplex_lab import cli, doctor, presets, records
from simplex_lab import start as starting
from simplex_lab.checks import progress
from simplex_lab.checks.spec import chapters, exercises
from simplex_lab.start import StartError, start
from simplex_lab.train import History


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """The learner's folder: not there yet."""
    monkeypatch.setenv("SIMPLEX_LAB_HOME", str(tmp_path / "work"))
    return tmp_path / "work"


def mine(work):
    return next(p for p in work.glob("03_*.ipynb") if "backup" not in p.name)


# Start


def test_start_copies_the_exercise(work, capsys):
    assert cli.main(["start", "03"]) == 0
    (original,) = (starting.ROOT / "exercises").glob("03_*.ipynb")
    assert mine(work).name == original.name
    assert mine(work).read_bytes() == original.read_bytes()
    out = capsys.readouterr().out
    assert "A fresh copy" in out
    assert mine(work).name in out


@pytest.mark.parametrize("chapter", chapters())
def test_every_exercise_can_be_started(chapter, work):
    path, _ = start(chapter)
    assert path.parent == work
    assert "YOUR CODE HERE" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["3", "03", "03_trilinear_attention"])
def test_start_understands_a_chapter_however_it_is_written(name, work):
    assert cli.main(["start", name]) == 0
    assert mine(work).exists()


def test_start_never_overwrites(work, capsys):
    cli.main(["start", "03"])
    mine(work).write_text("my answers")
    assert cli.main(["start", "03"]) == 0
    assert mine(work).read_text() == "my answers"
    assert len(list(work.iterdir())) == 1
    out = capsys.readouterr().out
    assert "left as it is" in out
    assert "--reset" in out


def test_reset_keeps_every_backup(work, capsys):
    cli.main(["start", "03"])
    fresh = mine(work).read_bytes()
    for n in (1, 2):
        mine(work).write_text(f"answers {n}")
        assert cli.main(["start", "03", "--reset"]) == 0
        assert mine(work).read_bytes() == fresh
        assert f"{mine(work).stem}.backup-{n}.ipynb" in capsys.readouterr().out
    kept = {p.name: p.read_text() for p in work.glob("*.backup-*")}
    assert kept == {f"{mine(work).stem}.backup-{n}.ipynb": f"answers {n}" for n in (1, 2)}


def test_reset_without_a_copy_is_a_start(work):
    assert cli.main(["start", "03", "--reset"]) == 0
    assert [p.name for p in work.iterdir()] == [mine(work).name]


def test_answers_survive_a_copy_that_fails(work, monkeypatch):
    cli.main(["start", "03"])
    mine(work).write_text("my answers")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="no space"):
        start("03", reset=True)
    assert [p.read_text() for p in work.iterdir()] == ["my answers"]


def test_an_unknown_chapter_lists_the_known(work, capsys):
    assert cli.main(["start", "77"]) == 1
    out, said = capsys.readouterr()
    assert "There is no exercise '77'" in said
    assert ", ".join(chapters()) in said
    assert out == ""
    assert not work.exists()


def test_a_folder_without_exercises_says_so(tmp_path):
    with pytest.raises(StartError, match="There are: none"):
        start("03", source=tmp_path)


def test_a_pattern_is_no_chapter():
    for pattern in ("*", "?", "[0-9]3"):
        with pytest.raises(StartError):
            start(pattern)


# Progress


def test_progress_is_a_table(capsys):
    assert cli.main(["progress"]) == 0
    lines = capsys.readouterr().out.splitlines()
    known = [id for chapter in chapters() for id in exercises(chapter)]
    assert [line.split()[0] for line in lines[:-1]] == known
    assert all("not attempted" in line for line in lines[:-1])
    assert lines[-1] == f"0 of {len(known)} exercises passed"


def test_progress_shows_what_was_done(capsys):
    progress.note("03.2", passed=True, attempted=True, rung="")
    progress.note("01.1", passed=False, attempted=True, rung="hand")
    cli.main(["progress"])
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert "passed 2" in rows["03.2"]
    assert "at: hand" in rows["01.1"]
    assert "not attempted" in rows["03.1"]
    assert lines[-1].startswith("1 of ")


# The rest of the command


def test_an_unknown_preset_is_explained(capsys):
    assert cli.main(["train", "--preset", "nope"]) == 1
    out, said = capsys.readouterr()
    assert "preset='nope': choose one of" in said
    assert "chapter00" in said
    assert "Traceback" not in said
    assert out == ""
    assert not (records.RESULTS / "nope.csv").exists()


def test_a_run_that_diverges_is_explained(capsys, monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("loss is nan at step 3 with lr=0.1: lower the learning rate")

    monkeypatch.setattr(presets, "record", diverge)
    assert cli.main(["train", "--preset", "chapter00"]) == 1
    assert "lower the learning rate" in capsys.readouterr().err


def test_train_records_what_was_asked_for(capsys, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(presets, "record", lambda *args, **how: asked.append((*args, how["device"])) or str(tmp_path / "x.csv"))
    assert cli.main(["train", "--preset", "chapter00"]) == 0
    assert cli.main(["train", "--preset", "chapter00_rates", "--seeds", "2", "--out", "y.csv", "--device", "cpu"]) == 0
    assert asked == [("chapter00", 5, None, "cuda" if torch.cuda.is_available() else "cpu"), ("chapter00_rates", 2, "y.csv", "cpu")]
    assert "x.csv" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_explained(capsys):
    assert cli.main(["train", "--preset", "chapter00", "--device", "cuda"]) == 1
    assert capsys.readouterr().err == "device='cuda': there is no CUDA device here\n"


def test_a_stopped_recording_says_how_to_go_on(capsys, monkeypatch, tmp_path):
    def stop(*_, keep, **__):
        keep.mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(presets, "record", stop)
    assert cli.main(["train", "--preset", "chapter00"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert (tmp_path / "work" / "train" / "chapter00").exists()
    monkeypatch.setattr(presets, "record", lambda *_, **__: str(tmp_path / "x.csv"))
    assert cli.main(["train", "--preset", "chapter00"]) == 0
    assert not (tmp_path / "work" / "train" / "chapter00").exists()


def test_no_seeds_leave_the_record_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(presets, "train_with_bar", lambda label, config, **_: History([10], [0.5], [1.0]))
    monkeypatch.setattr(presets.torch, "set_num_threads", lambda n: None)
    (tmp_path / "x.csv").write_text("what was measured")
    with contextlib.suppress(SystemExit):
        cli.main(["train", "--preset", "chapter00", "--seeds", "0", "--out", str(tmp_path / "x.csv")])
    assert (tmp_path / "x.csv").read_text() == "what was measured"


@pytest.mark.parametrize(("fine", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_of_doctor(fine, code, monkeypatch):
    monkeypatch.setattr(doctor, "doctor", lambda: fine)
    assert cli.main(["doctor"]) == code


@pytest.mark.parametrize("arguments", [["dance"], [], ["start"], ["train"], ["train", "--preset", "chapter00", "--seeds", "many"]])
def test_a_wrong_call_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: simplex-lab" in capsys.readouterr().err


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="simplex-lab")
    assert command.load() is cli.main
